//! Who owns topics, as a machine without Kafka: what is heard of the group goes in, what is to be done next comes out.
//!
//! A program owns its topics while it is a member of their group and saw, *behind its own join*, that no other program was a member.
//! That no two own them at once follows from the coordinator of the group, which answers one after the other: say `A` saw itself alone at
//! one moment, and `B` itself alone at a later one. Both were members when they looked, since each looked behind its own join and found
//! itself in the answer. So at the later moment `A` was no member any more: it had left, or was silent for longer than its session, and
//! hears of that as soon as it reaches the coordinator, before it is a member again. Two that join at the same time see each other, both
//! leave, and wait for different times. An answer that is wrong because a broker does not know the group (any more) has not this program in
//! it, and lets nobody begin.

/// What the identity of every program begins with. Other members of a group (a console consumer) do not count.
pub(super) const IDENTITY: &str = "serin-";

/// A member of the group, as its coordinator tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// For static members this is their `group.instance.id`, a hyphen and something new at each start (Kafka's `generateMemberId`).
    pub id: String,
    /// Where it is.
    pub host: String,
}

/// What is heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Who is in the group.
    Members(Vec<Member>),
    /// A join of this program is complete.
    Joined,
    /// It was a member, and was taken for gone.
    Lost,
    /// It has left.
    Left,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// To wait for what the group tells.
    Hear,
    /// To ask who is in the group.
    Look,
    /// The same, a little later.
    LookLater,
    /// This one owns the topics. To wait, and then to ask who is in the group.
    StandBy(Member),
    /// To join.
    Join,
    /// To leave.
    Leave,
    /// To own the topics: they may be read.
    Own,
    /// To end: this one owns them now.
    End(Member),
}

/// Where a program stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stands {
    /// It is no member, and looks whether another is.
    Outside,
    /// It waits for its join.
    Joining,
    /// It has joined, and looks whether it is alone.
    Inside,
    /// Another was there first.
    Leaving,
    /// It owns the topics.
    Owner,
    /// The same, after another round of the group: whether one that joined is leaving again is looked at. The one, and looks that saw it.
    Visited(Option<(String, u32)>),
    /// It was the owner, and was taken for gone: it waits for its join.
    Doubting,
    /// The same, and looks whether another took over.
    Rejoined,
}

/// A program's claim on its topics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    instance: String,
    stands: Stands,
    /// Looks at which the same other member is seen until it is no guest.
    patience: u32,
}

impl Claim {
    /// Of a program that is no member yet. `patience`: looks after which one that joined beside an owner should have left, or be taken for
    /// gone.
    pub(super) fn new(instance: &str, patience: u32) -> Claim {
        Claim { instance: instance.to_owned(), stands: Stands::Outside, patience }
    }

    /// What to do after something was heard.
    pub(super) fn hear(&mut self, heard: Heard) -> Next {
        let (stands, next) = match (self.stands.clone(), heard) {
            (Stands::Outside, Heard::Members(members)) => match self.other(&members) {
                Some(other) => (Stands::Outside, Next::StandBy(other)),
                None => (Stands::Joining, Next::Join),
            },
            (Stands::Outside | Stands::Leaving, Heard::Left) => (Stands::Outside, Next::LookLater),
            (Stands::Joining | Stands::Inside, Heard::Joined) => (Stands::Inside, Next::Look),
            (Stands::Joining | Stands::Inside, Heard::Lost) => (Stands::Joining, Next::Hear),
            (Stands::Inside, Heard::Members(members)) => match (self.other(&members), self.is_in(&members)) {
                (Some(_), _) => (Stands::Leaving, Next::Leave),
                (None, true) => (Stands::Owner, Next::Own),
                (None, false) => (Stands::Inside, Next::LookLater),
            },
            (Stands::Owner | Stands::Visited(_), Heard::Joined) => (Stands::Visited(None), Next::Look),
            (Stands::Visited(before), Heard::Members(members)) => match self.other(&members) {
                None if self.is_in(&members) => (Stands::Owner, Next::Hear),
                None => (Stands::Visited(None), Next::LookLater),
                Some(other) => {
                    let seen = before.filter(|(id, _)| *id == other.id).map_or(0, |(_, seen)| seen) + 1;
                    match seen > self.patience {
                        true => (Stands::Visited(None), Next::End(other)),
                        false => (Stands::Visited(Some((other.id, seen))), Next::LookLater),
                    }
                }
            },
            (Stands::Owner | Stands::Visited(_) | Stands::Doubting | Stands::Rejoined, Heard::Lost) => {
                (Stands::Doubting, Next::Hear)
            }
            (Stands::Doubting | Stands::Rejoined, Heard::Joined) => (Stands::Rejoined, Next::Look),
            (Stands::Rejoined, Heard::Members(members)) => match (self.other(&members), self.is_in(&members)) {
                (Some(other), _) => (Stands::Rejoined, Next::End(other)),
                (None, true) => (Stands::Owner, Next::Own),
                (None, false) => (Stands::Rejoined, Next::LookLater),
            },
            // Nobody has asked, or it is too late to matter.
            (stands @ (Stands::Joining | Stands::Leaving | Stands::Owner | Stands::Doubting), Heard::Members(_))
            | (stands @ (Stands::Outside | Stands::Leaving), Heard::Joined | Heard::Lost)
            | (
                stands @ (Stands::Joining
                | Stands::Inside
                | Stands::Owner
                | Stands::Visited(_)
                | Stands::Doubting
                | Stands::Rejoined),
                Heard::Left,
            ) => (stands, Next::Hear),
        };
        self.stands = stands;
        next
    }

    fn is_own(&self, member: &Member) -> bool {
        member.id.strip_prefix(&self.instance).is_some_and(|rest| rest.starts_with('-'))
    }

    /// It is a member.
    pub(super) fn is_in(&self, members: &[Member]) -> bool {
        members.iter().any(|member| self.is_own(member))
    }

    /// Another program in the group.
    fn other(&self, members: &[Member]) -> Option<Member> {
        members.iter().find(|member| member.id.starts_with(IDENTITY) && !self.is_own(member)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Member {
        Member { id: format!("serin-{id}-1"), host: format!("host-{id}") }
    }

    fn members(ids: &str) -> Heard {
        Heard::Members(ids.chars().map(|id| member(&id.to_string())).collect())
    }

    fn claim() -> Claim {
        Claim::new("serin-a", 2)
    }

    /// What is to be done after each of these.
    fn after(claim: &mut Claim, heard: impl IntoIterator<Item = Heard>) -> Vec<Next> {
        heard.into_iter().map(|heard| claim.hear(heard)).collect()
    }

    fn owner() -> Claim {
        let mut claim = claim();
        let next = after(&mut claim, [members(""), Heard::Joined, members("a")]);
        assert_eq!(next, [Next::Join, Next::Look, Next::Own]);
        claim
    }

    #[test]
    fn who_is_alone_behind_its_own_join_owns_the_topics() {
        owner();
        // Its own membership of before a crash is none of another.
        let next = after(&mut claim(), [members("a"), Heard::Joined, members("a")]);
        assert_eq!(next, [Next::Join, Next::Look, Next::Own]);
        // Nor are members of another kind.
        let console = Heard::Members(vec![Member { id: "console-consumer-1".to_owned(), host: String::new() }]);
        assert_eq!(claim().hear(console), Next::Join);
        // An answer without itself says nothing.
        let next = after(&mut claim(), [members(""), Heard::Joined, members(""), members("a")]);
        assert_eq!(next, [Next::Join, Next::Look, Next::LookLater, Next::Own]);
        // An identity that only begins alike is another's.
        let alike = Heard::Members(vec![Member { id: "serin-ab-1".to_owned(), host: String::new() }]);
        assert!(matches!(claim().hear(alike), Next::StandBy(_)));
        // Its session ran out before it had looked.
        let next = after(&mut claim(), [members(""), Heard::Joined, Heard::Lost, members("a"), Heard::Joined]);
        assert_eq!(next, [Next::Join, Next::Look, Next::Hear, Next::Hear, Next::Look]);
    }

    #[test]
    fn who_sees_another_waits_until_it_is_gone() {
        let next = after(&mut claim(), [members("b"), members("ab"), members("")]);
        assert_eq!(next, [Next::StandBy(member("b")), Next::StandBy(member("b")), Next::Join]);
        // Both join at once, and see each other.
        let [mut a, mut b] = ["serin-a", "serin-b"].map(|id| Claim::new(id, 2));
        for one in [&mut a, &mut b] {
            let next = after(one, [members(""), Heard::Joined, members("ab"), Heard::Left]);
            assert_eq!(next, [Next::Join, Next::Look, Next::Leave, Next::LookLater]);
        }
        assert_eq!(after(&mut a, [members(""), Heard::Joined, members("a")]).pop(), Some(Next::Own));
        assert_eq!(b.hear(members("a")), Next::StandBy(member("a")));
    }

    #[test]
    fn an_owner_stays_so_while_guests_come_and_go() {
        let mut claim = owner();
        assert_eq!(
            after(&mut claim, [Heard::Joined, members("ab"), members("ab")]),
            [Next::Look, Next::LookLater, Next::LookLater]
        );
        // Another guest, and none.
        assert_eq!(
            after(&mut claim, [members("ac"), members("a"), members("ac")]),
            [Next::LookLater, Next::Hear, Next::Hear]
        );
        // One that stays is none.
        let next = after(&mut claim, [Heard::Joined, members("ab"), members("ab"), members("ab")]);
        assert_eq!(next, [Next::Look, Next::LookLater, Next::LookLater, Next::End(member("b"))]);
    }

    #[test]
    fn an_owner_that_was_taken_for_gone_goes_on_only_where_nobody_took_over() {
        let mut claim = owner();
        let next = after(&mut claim, [Heard::Lost, Heard::Joined, members(""), members("a")]);
        assert_eq!(next, [Next::Hear, Next::Look, Next::LookLater, Next::Own]);
        let next = after(&mut claim, [Heard::Lost, Heard::Lost, members("b"), Heard::Joined, members("ab")]);
        assert_eq!(next, [Next::Hear, Next::Hear, Next::Hear, Next::Look, Next::End(member("b"))]);
    }

    /// Every order in which two programs and the coordinator may come to act, with sessions that run out and programs that find out late.
    #[test]
    fn no_two_own_topics_that_both_are_members() {
        #[derive(Clone)]
        struct Program {
            claim: Claim,
            /// A member, as the coordinator has it.
            is_in: bool,
            /// The coordinator has taken it for gone, and it does not know yet.
            is_lost: bool,
            /// What it is about to do.
            next: Next,
            owns: bool,
        }
        let begin = |id: &str| Program {
            claim: Claim::new(id, 2),
            is_in: false,
            is_lost: false,
            next: Next::Look,
            owns: false,
        };
        let mut states = vec![([begin("serin-a"), begin("serin-b")], 0)];
        let mut looked = 0_u32;
        while let Some((programs, depth)) = states.pop() {
            looked += 1;
            let owners: Vec<&Program> = programs.iter().filter(|one| one.owns && one.is_in && !one.is_lost).collect();
            assert!(owners.len() < 2, "two own them");
            if depth == 13 {
                continue;
            }
            for at in 0..2 {
                // The program does what is next for it.
                let mut after = programs.clone();
                let present: String =
                    ["a", "b"].iter().zip(&after).filter(|(_, one)| one.is_in).map(|(id, _)| *id).collect();
                let one = &mut after[at];
                let heard = match &one.next {
                    // From here on it is in doubt, until it has looked.
                    _ if one.is_lost => {
                        (one.is_lost, one.owns) = (false, false);
                        Some(Heard::Lost)
                    }
                    Next::Look | Next::LookLater | Next::StandBy(_) => Some(members(&present)),
                    Next::Join => {
                        one.is_in = true;
                        Some(Heard::Joined)
                    }
                    Next::Leave => {
                        one.is_in = false;
                        Some(Heard::Left)
                    }
                    // It joins again where it is no member any more.
                    Next::Hear if !one.is_in => {
                        one.is_in = true;
                        Some(Heard::Joined)
                    }
                    Next::Hear => None,
                    Next::Own => {
                        one.owns = true;
                        one.next = Next::Hear;
                        None
                    }
                    Next::End(_) => {
                        (one.owns, one.is_in) = (false, false);
                        None
                    }
                };
                if let Some(heard) = heard {
                    one.next = one.claim.hear(heard);
                }
                // It owns at the look itself, as far as anybody can tell.
                one.owns |= one.next == Next::Own;
                states.push((after, depth + 1));
                // Its session runs out.
                let mut gone = programs.clone();
                if gone[at].is_in && !gone[at].is_lost {
                    (gone[at].is_in, gone[at].is_lost) = (false, true);
                    states.push((gone, depth + 1));
                }
            }
        }
        assert!(looked > 100_000, "{looked}");
    }
}
