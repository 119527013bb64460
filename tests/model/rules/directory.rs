//! Clients, users, secrets, the fence, keys, and time.

use crate::model::{
    answers::Answer,
    clients::ADMIN,
    operations::Op,
    world::{Secret, World, refused},
};

impl World {
    pub fn administer(&mut self, op: &Op, events: &mut Vec<String>) -> Result<Answer, Answer> {
        match op {
            Op::Pass(seconds) => self.now += seconds,
            Op::Fence => {
                self.fence = Some(self.order);
                events.push("authority_fenced of nobody by nobody".into());
            }
            Op::AddKey => {
                self.ring.push(self.keys);
                self.keys += 1;
            }
            Op::PromoteKey(key) => {
                self.ring.retain(|other| other != key);
                self.ring.insert(0, *key);
            }
            Op::RetireKey(key) => {
                self.ring.retain(|other| other != key);
                self.way_back_in(events);
            }
            _ => {
                self.admit(ADMIN, None)?;
                return self.by_admin(op, events);
            }
        }
        Ok(Answer::Done)
    }

    /// Whose admin lost every way in with a key makes another with database rights.
    fn way_back_in(&mut self, events: &mut Vec<String>) {
        if self.admit(ADMIN, None).is_ok() {
            return;
        }
        self.clients[ADMIN].secrets = vec![Secret {
            key: self.ring[0],
            retired: false,
        }];
        for kind in ["client_created", "secret_created"] {
            events.push(format!("{kind} of client {ADMIN} by nobody"));
        }
    }

    fn by_admin(&mut self, op: &Op, events: &mut Vec<String>) -> Result<Answer, Answer> {
        let order = self.order;
        let mut told = |kind: &str, what: &str, number: usize| {
            events.push(format!("{kind} of {what} {number} by client {ADMIN}"));
        };
        match op {
            Op::DisableUser(number) | Op::EnableUser(number) => {
                let disable = matches!(op, Op::DisableUser(_));
                let user = &mut self.users[*number];
                if !user.registered {
                    return Err(refused("NotFound", "SUBJECT_NOT_FOUND"));
                }
                if user.disabled != disable {
                    user.disabled = disable;
                    user.not_before = Some(order);
                    let kind = if disable {
                        "subject_disabled"
                    } else {
                        "subject_enabled"
                    };
                    told(kind, "user", *number);
                }
            }
            Op::DisableClient(number) | Op::EnableClient(number) => {
                let disable = matches!(op, Op::DisableClient(_));
                let client = &mut self.clients[*number];
                if client.disabled != disable {
                    client.disabled = disable;
                    client.not_before = Some(order);
                    let kind = if disable {
                        "client_disabled"
                    } else {
                        "client_enabled"
                    };
                    told(kind, "client", *number);
                }
            }
            Op::CutOffClient(number) => {
                self.clients[*number].not_before = Some(order);
                told("client_cut_off", "client", *number);
            }
            Op::AllowScopes { client, scopes } => {
                self.clients[*client].allowed = *scopes;
                told("client_updated", "client", *client);
            }
            Op::AddSecret(number) => {
                let secrets = &mut self.clients[*number].secrets;
                if secrets.iter().filter(|secret| !secret.retired).count() >= 2 {
                    return Err(refused("FailedPrecondition", "SECRET_LIMIT_REACHED"));
                }
                secrets.push(Secret {
                    key: self.ring[0],
                    retired: false,
                });
                told("secret_created", "client", *number);
            }
            Op::RetireSecret { client, secret } => {
                let secrets = &mut self.clients[*client].secrets;
                if secrets[*secret].retired {
                    return Ok(Answer::Done);
                }
                if secrets.iter().filter(|secret| !secret.retired).count() == 1 {
                    return Err(refused("FailedPrecondition", "LAST_SECRET"));
                }
                secrets[*secret].retired = true;
                told("secret_retired", "client", *client);
            }
            _ => unreachable!("judged elsewhere: {op:?}"),
        }
        Ok(Answer::Done)
    }
}
