//! Says why a job failed, from its script and its log alone: `why_failed SCRIPT LOG`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;

use ralph_core::backend::Stream;
use ralph_core::classify::{Case, LogText, classify};
use ralph_core::sbatch;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(script), Some(log)) = (args.next(), args.next()) else {
        return Err("expected a script and a log".into());
    };

    let directives = sbatch::parse(&std::fs::read_to_string(&script)?);
    for directive in &directives {
        let value = directive.value.as_deref().unwrap_or_default();
        println!("{script}:{}: {} {value}", directive.line, directive.option);
    }
    let asked = sbatch::last(&directives, "time").and_then(|found| found.value.as_deref());
    match asked.map(sbatch::time_limit) {
        Some(Some(Some(limit))) => println!("asks for {} s", limit.as_secs()),
        Some(Some(None)) => println!("asks for no limit"),
        Some(None) => println!("{asked:?} is no time"),
        None => println!("takes the partition's limit"),
    }

    // What the scheduler says of the job belongs into the case too; without it the log has to do.
    let logs = [LogText::from_bytes(
        &log,
        Stream::Err,
        &std::fs::read(&log)?,
    )];
    let diagnosis = classify(&Case {
        logs: &logs,
        ..Case::default()
    });
    println!("{}", diagnosis.summary);
    println!("{}", diagnosis.cause);
    println!("{} ({:?})", diagnosis.advice, diagnosis.retry);
    Ok(())
}
