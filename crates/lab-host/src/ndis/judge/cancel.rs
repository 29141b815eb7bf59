//! OID-18: a cancelled request ends.

use super::super::oid::Target;
/// How long the end of a cancelled request may take.
const END: u64 = 1_000_000;
use crate::engine::Job;
use crate::host::Host;

impl Host {
    /// `MiniportCancelOidRequest` has been called often enough: a millisecond later the request is
    /// over, or the rule is broken.
    pub(crate) fn cancel_is_due(&self, request: u64, id: u64) {
        self.spawn_after(
            END,
            Job::dpc("cancelled OID", move |host| {
                let left = host.ndis(|n| {
                    let a = n.oids.active.get(&request)?;
                    if a.id != id || a.completed.is_some() || !matches!(a.target, Target::Miniport(_)) {
                        return None;
                    }
                    let mut clones = n.oids.clones.iter();
                    let below = clones.any(|(clone, (_, from))| {
                        *from == request && n.oids.active.contains_key(clone)
                    });
                    Some((below, a.below.cancelled))
                });
                match left {
                    Some((true, false)) => host.violate(
                        "OID-18",
                        format!("request {id} was cancelled, NdisCancelOidRequest was not called for what went down for it"),
                    ),
                    Some((false, _)) => host.violate(
                        "OID-18",
                        format!("request {id} was cancelled and the driver still holds it"),
                    ),
                    Some((true, true)) | None => {}
                }
            }),
        );
    }
}
