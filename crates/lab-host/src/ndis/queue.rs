//! NDIS's own threads: binding of protocols and start of devices, a few at a time however
//! many there are.

use std::collections::VecDeque;

use crate::engine::Job;
use crate::host::Host;

/// Jobs that run at the same time.
const WORKERS: u32 = 16;

/// Jobs that wait for a thread.
#[derive(Default)]
pub(crate) struct Queue {
    jobs: VecDeque<Job>,
    running: u32,
}

impl Host {
    /// Runs a job on one of NDIS's threads, in the order of the calls as far as they run one
    /// after the other.
    pub(crate) fn enqueue(&self, job: Job) {
        let start = self.ndis(|n| {
            n.queue.jobs.push_back(job);
            let start = n.queue.running < WORKERS;
            n.queue.running += u32::from(start);
            start
        });
        if start {
            self.spawn(Job::thread("NDIS worker", |host| {
                while let Some(job) = host.next_job() {
                    (job.body)(host);
                }
            }));
        }
    }

    fn next_job(&self) -> Option<Job> {
        self.ndis(|n| {
            let job = n.queue.jobs.pop_front();
            if job.is_none() {
                n.queue.running -= 1;
            }
            job
        })
    }
}
