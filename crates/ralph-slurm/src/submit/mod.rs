//! Submitting exactly once: the intent is on local disk before this is called; here the token is claimed on the
//! cluster, the script runs through `sbatch` once, and the receipt comes back, now or when it is asked for later.
//!
//! Nothing here retries. What is unclear is looked up and otherwise handed back as unclear.

mod order;
mod receipt;
mod script_text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ralph_core::backend::{BackendError, Receipt, SubmitRequest};
use ralph_core::id::Token;
use ralph_core::time::{Timestamp, elapsed};

use crate::frame::Part;
use crate::remote::{Call, Remote, Reply};
use crate::script::{RECEIPT, SUBMIT};
use order::Order;
use receipt::{Findings, Marker};

/// Orders in one call; their tokens are the arguments of one command line.
const BUNDLE: usize = 400;

/// Gets what was said about each request, by its index.
type Recorded<'a> = &'a mut (dyn FnMut(usize, Result<Receipt, BackendError>) + Send);

/// Submits all requests, in as few calls as they fit into; `recorded` gets each receipt as it arrives, and the error for
/// those of which none arrived.
pub(crate) async fn submit_all(
    remote: &Remote,
    requests: &[(usize, &SubmitRequest)],
    recorded: Recorded<'_>,
) {
    let mut waiting: BTreeMap<usize, &SubmitRequest> = requests.iter().copied().collect();
    let mut outcome = Ok(());
    for bundle in requests.chunks(BUNDLE) {
        let mut arrived = |index: usize, receipt: Receipt| {
            waiting.remove(&index);
            recorded(index, Ok(receipt));
        };
        outcome = submit_bundle(remote, bundle, &mut arrived).await;
        if outcome.is_err() {
            break;
        }
    }
    for (index, request) in waiting {
        let error = outcome.clone().err();
        recorded(index, Err(error.unwrap_or_else(|| no_receipt(request))));
    }
}

/// The cluster's answer lacks what was asked for.
pub(crate) fn no_receipt(request: &SubmitRequest) -> BackendError {
    BackendError::Garbled {
        detail: format!(
            "the cluster answered without a receipt for `{}`",
            request.token
        ),
    }
}

/// What the cluster knows about these tokens and the times of their intents, without submitting; one call for as many as
/// fit into it.
///
/// # Errors
/// The cluster could not be asked. What could not be found out about one token is that token's error.
pub(crate) async fn look_all(
    remote: &Remote,
    asked: &[(Token, Timestamp)],
) -> Result<Vec<Result<Receipt, BackendError>>, BackendError> {
    let mut found = Vec::new();
    for bundle in asked.chunks(BUNDLE) {
        let oldest = bundle.iter().map(|(_, since)| *since).min();
        let age = oldest.map_or(0, |since| elapsed(since, remote.now()).as_secs());
        // A day more than its age: the cluster's clock may be behind.
        let seconds = (age + 86_400).to_string();
        let tokens = bundle.iter().map(|(token, _)| token.as_str());
        let arguments: Vec<&str> = std::iter::once(seconds.as_str()).chain(tokens).collect();
        let reply = remote
            .call(Call {
                script: &RECEIPT,
                arguments: &arguments,
                data: b"",
                limit: Duration::from_secs(90),
            })
            .await?
            .whole()?;
        found.extend(
            bundle
                .iter()
                .map(|(token, _)| judged(remote, &reply, token)),
        );
    }
    Ok(found)
}

/// What the cluster knows about a token, without submitting.
pub(crate) async fn look(
    remote: &Remote,
    token: &Token,
    since: Timestamp,
) -> Result<Receipt, BackendError> {
    let found = look_all(remote, &[(token.clone(), since)]).await?;
    found.into_iter().next().unwrap_or_else(|| {
        Err(BackendError::Garbled {
            detail: format!("the cluster answered nothing about `{token}`"),
        })
    })
}

fn judged(remote: &Remote, reply: &Reply, token: &Token) -> Result<Receipt, BackendError> {
    let marker =
        reply
            .answer(&format!("marker.{token}"))
            .map_err(|detail| BackendError::Storage {
                path: remote.root().to_owned(),
                detail,
            })?;
    receipt::conclude(&Findings {
        marker: Marker::parse(&marker),
        at: reply.cluster_time(),
        queue: reply
            .answer("queue")
            .and_then(|text| receipt::jobs_of(token, &text)),
        accounting: reply
            .answer("accounting")
            .and_then(|text| receipt::jobs_of(token, &text)),
    })
}

async fn submit_bundle(
    remote: &Remote,
    bundle: &[(usize, &SubmitRequest)],
    recorded: &mut (dyn FnMut(usize, Receipt) + Send),
) -> Result<(), BackendError> {
    let mut orders = Vec::new();
    let mut preflighted = BTreeSet::new();
    for (index, request) in bundle {
        match Order::new(request) {
            Ok(mut order) => {
                order.preflight = preflighted.insert(order.directives.clone());
                orders.push((*index, order));
            }
            Err(message) => recorded(
                *index,
                Receipt::Refused {
                    message,
                    limit: false,
                },
            ),
        }
    }
    if orders.is_empty() {
        return Ok(());
    }
    let mut open: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, order) in &orders {
        open.entry(order.token().to_string())
            .or_default()
            .push(*index);
    }
    let mut doubtful = Vec::new();
    let reply = send(remote, &orders, &open, &mut |token, receipt| {
        let indices = open.get(token).cloned().unwrap_or_default();
        for index in indices {
            match receipt {
                Receipt::Claimed { .. }
                | Receipt::Unproven { .. }
                | Receipt::Nameless { .. }
                | Receipt::Unreadable { .. } => doubtful.push((index, receipt.clone())),
                Receipt::Absent
                | Receipt::Accepted { .. }
                | Receipt::Refused { .. }
                | Receipt::Earlier { .. } => recorded(index, receipt.clone()),
            }
        }
    })
    .await?;
    settle_doubtful(remote, bundle, doubtful, recorded).await;
    reply.whole().map(drop)
}

/// What `sbatch` left unclear is looked for, all of it in one call.
async fn settle_doubtful(
    remote: &Remote,
    bundle: &[(usize, &SubmitRequest)],
    doubtful: Vec<(usize, Receipt)>,
    recorded: &mut (dyn FnMut(usize, Receipt) + Send),
) {
    let requests: BTreeMap<usize, &SubmitRequest> = bundle.iter().copied().collect();
    let asked: Vec<(Token, Timestamp)> = doubtful
        .iter()
        .filter_map(|(index, _)| requests.get(index))
        .map(|request| (request.token.clone(), request.intent_at))
        .collect();
    let looked = match asked.is_empty() {
        true => return,
        false => look_all(remote, &asked).await.unwrap_or_default(),
    };
    // Where the look failed, what was said first stands.
    let mut looked = looked.into_iter();
    for (index, receipt) in doubtful {
        let found = looked.next().and_then(Result::ok);
        recorded(index, found.unwrap_or(receipt));
    }
}

/// One call for a bundle; `arrived` gets each receipt as it arrives.
async fn send(
    remote: &Remote,
    orders: &[(usize, Order<'_>)],
    open: &BTreeMap<String, Vec<usize>>,
    arrived: &mut (dyn FnMut(&str, &Receipt) + Send),
) -> Result<Reply, BackendError> {
    let bundle = remote.fresh_id();
    let archive =
        order::archive(&bundle, orders.iter().map(|(_, order)| order)).map_err(|error| {
            BackendError::Storage {
                path: "the bundle of scripts".to_owned(),
                detail: error.to_string(),
            }
        })?;
    let mut there = remote.now();
    let mut arguments = vec![bundle.as_str()];
    arguments.extend(open.keys().map(String::as_str));
    let reply = remote
        .stream(
            Call {
                script: &SUBMIT,
                arguments: &arguments,
                data: &archive,
                // `sbatch` itself waits up to two minutes for a busy controller.
                limit: Duration::from_secs(180 + 2 * orders.len() as u64),
            },
            &mut |part: &Part| {
                there = part.clock().unwrap_or(there);
                if let Some(token) = part.name.strip_prefix("receipt.") {
                    arrived(token, &Marker::parse(&part.text()).receipt(there));
                }
            },
        )
        .await?;
    match reply.part("storage") {
        Some(problem) => Err(BackendError::Storage {
            path: remote.root().to_owned(),
            detail: problem.text().trim().to_owned(),
        }),
        None => Ok(reply),
    }
}
