//! Takes part in a budget of N slots and M attempts: `shared_budget FOLDER N M`. Start it as often as you like at the same
//! time: no more than N of all of them work at once, and M attempts are spent in all, also when some are killed.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::Path;

use ralph_core::env::Env;
use ralph_core::process::Identity;
use ralph_loop::budget::{Budget, BudgetError, Reserved, Settlement, Terms};
use ralph_loop::outcome::AttemptId;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, workers, attempts] = &args[..] else {
        return Err("expected a folder, N and M".into());
    };
    let terms = Terms {
        workers: workers.parse()?,
        attempts: Some(attempts.parse()?),
    };
    // A budget that nobody has open begins anew; one that is in use is joined.
    let budget = match Budget::create(Path::new(folder), &terms) {
        Err(BudgetError::InUse(folder)) => Budget::open(&folder)?,
        created => created?,
    };
    let env = Env::system("example", "nobody");
    let owner = Identity::of(std::process::id()).ok_or("this machine has no /proc")?;
    loop {
        // A slot first, then an attempt: the other way round those who wait could hold all attempts.
        let slot = budget.slot().await?;
        let attempt: AttemptId = env.ids.op(env.now()).as_str().parse()?;
        match budget.reserve(&attempt, "example", &owner)? {
            Reserved::Granted => {
                println!("{attempt} works");
                budget.settle(&attempt, Settlement::Spent)?;
            }
            // What others have reserved may come back.
            Reserved::AllReserved => {
                drop(slot);
                budget.reservable().await?;
            }
            Reserved::Exhausted => break,
            Reserved::AlreadySpent | Reserved::HeldElsewhere => {
                return Err("an id came twice".into());
            }
        }
    }
    let standing = budget.standing()?;
    println!("{} of {attempts} attempts are spent", standing.spent);
    Ok(())
}
