//! Cells that are rolled out one after the other.

use super::*;

/// `checkout`, in these cells first.
fn of_cells(cells: &[&str]) -> Declared {
    Declared { cells: cells.iter().map(|cell| (*cell).to_owned()).collect(), ..declared() }
}

fn words(service: &str, cell: &str) -> String {
    let (service, cell) = (service.to_owned(), cell.to_owned());
    crate::event::ServiceKey { environment: String::new(), cell, service }.to_string()
}

/// A book that reads a ledger line by line.
struct Reading {
    ledger: Ledger,
    book: Book,
    read: usize,
}

impl Reading {
    fn of(declared: Declared) -> Reading {
        Reading { ledger: Ledger::default(), book: Book::new(vec![declared]), read: 0 }
    }

    fn go_on(&mut self) -> Vec<(String, String)> {
        let new = self.ledger.lines.iter().skip(self.read);
        let decisions: Vec<Decision> = new.flat_map(|line| self.book.entry(line)).collect();
        self.read = self.ledger.lines.len();
        told(&decisions)
    }

    fn begin_of(&mut self, service: &str, cell: &str, candidate: &str) -> Vec<(String, String)> {
        let mut key = json!({ "environment": "", "service": service });
        if !cell.is_empty() {
            key["cell"] = json!(cell);
        }
        self.ledger.add(
            "begin",
            json!({ "service": words(service, cell), "services": [key], "control": "1", "candidate": candidate,
                "at": at(0).to_string() }),
        );
        self.go_on()
    }

    fn begin(&mut self, cell: &str, candidate: &str) -> Vec<(String, String)> {
        self.begin_of("web", cell, candidate)
    }

    fn look(&mut self, cell: &str, candidate: &str, verdict: &str) -> Vec<(String, String)> {
        let automatic = if verdict == "fail" { json!({ "automatic_at": AUTOMATIC }) } else { json!({}) };
        self.ledger.look(&words("web", cell), candidate, 5, verdict, automatic);
        self.go_on()
    }

    fn command(&mut self, id: &str, command: Command, finding: Option<&str>) -> Result<Vec<(String, String)>, String> {
        let what = What::Command {
            rollout: id.to_owned(),
            command,
            finding: finding.map(str::to_owned),
            actor: "ann".to_owned(),
            reason: "why".to_owned(),
        };
        let row = Journalled { after: self.read as u64, clock_ms: 0, what };
        self.book.journalled(&row.to_row(), &row).map(|decisions| told(&decisions))
    }

    fn waits(&self, id: &str) -> Option<String> {
        self.book.waits_words(self.book.rollout(id).unwrap())
    }

    fn phase(&self, id: &str) -> Phase {
        self.book.rollout(id).unwrap().state.phase
    }
}

/// Event and rollout of each, with the next cell.
fn told(decisions: &[Decision]) -> Vec<(String, String)> {
    let one = |decision: &Decision| {
        let next = decision.data["next_cell"].as_str().map(|next| format!(", next {next}")).unwrap_or_default();
        assert_eq!(decision.data["rollout"], decision.rollout.as_str());
        (decision.topic.name().to_owned(), format!("{}{next}", decision.rollout))
    };
    decisions.iter().map(one).collect()
}

fn list(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(event, id)| ((*event).to_owned(), (*id).to_owned())).collect()
}

#[test]
fn a_cell_goes_on_once_those_before_it_are_done() {
    let mut reading = Reading::of(of_cells(&["geneva", "basel", "zurich"]));
    let awaited: Vec<String> = reading.book.awaited().into_iter().map(|of| of.id).collect();
    assert_eq!(awaited, ["checkout@geneva", "checkout@basel", "checkout@zurich"]);
    for cell in ["zurich", "basel", "bern"] {
        assert_eq!(reading.begin(cell, "2"), []);
        let id = format!("checkout@{cell}");
        assert_eq!(reading.look(cell, "2", "pass"), list(&[("pass", id.as_str())]), "{cell}");
    }
    let of_basel = reading.book.rollout("checkout@basel").unwrap();
    assert_eq!((of_basel.cell.as_str(), of_basel.state.phase), ("basel", Phase::Passed));
    assert_eq!(reading.waits("checkout@basel").unwrap(), "geneva comes first, and nothing of it runs yet");
    assert_eq!(reading.book.awaited_called("checkout@geneva").unwrap().cell, "geneva");
    let elsewhere = reading.book.awaited_called("checkout@prod@geneva").unwrap();
    assert_eq!((elsewhere.environment.as_deref(), elsewhere.cell), (Some("prod"), "geneva"));
    assert!(reading.book.awaited_called("checkout@prod").is_none(), "each cell has an id of its own");
    reading.begin("geneva", "2");
    assert_eq!(reading.waits("checkout@zurich").unwrap(), "geneva comes first, and it is not done");
    // One after the other, and those that nobody named last.
    assert_eq!(
        reading.look("geneva", "2", "pass"),
        list(&[
            ("pass", "checkout@geneva"),
            ("promote", "checkout@geneva, next basel"),
            ("promote", "checkout@basel, next zurich"),
            ("promote", "checkout@zurich"),
            ("promote", "checkout@bern"),
        ])
    );
    assert!(reading.waits("checkout@bern").is_none() && reading.book.awaited().is_empty());
}

#[test]
fn a_cell_that_fails_is_rolled_back_alone_and_what_failed_goes_nowhere_else() {
    let mut reading = Reading::of(of_cells(&["geneva", "basel"]));
    reading.begin("geneva", "2");
    reading.begin("basel", "2");
    assert_eq!(reading.look("geneva", "2", "fail"), list(&[("rollback", "checkout@geneva")]));
    assert_eq!(reading.look("basel", "2", "pass"), list(&[("pass", "checkout@basel")]), "its own verdict is its own");
    assert_eq!(reading.waits("checkout@basel").unwrap(), "geneva comes first, and it was rolled back");
    // Another candidate passes there. What basel has is still the one that failed.
    reading.begin("geneva", "3");
    assert_eq!(
        reading.look("geneva", "3", "pass"),
        list(&[("pass", "checkout@geneva"), ("promote", "checkout@geneva, next basel")])
    );
    assert_eq!(reading.waits("checkout@basel").unwrap(), "geneva comes first, and it is done with another candidate");
    assert_eq!(reading.look("basel", "2", "pass"), []);
    assert_eq!(reading.phase("checkout@basel"), Phase::Passed);
    // Until that comes there as well, in place of the other.
    reading.ledger.add(
        "ended",
        json!({ "service": words("web", "basel"), "candidate": "2", "verdict": "pass", "at": at(6).to_string() }),
    );
    assert_eq!(reading.go_on(), list(&[("over", "checkout@basel")]));
    reading.begin("basel", "3");
    assert!(reading.waits("checkout@basel").is_none());
    assert_eq!(reading.look("basel", "3", "pass"), list(&[("pass", "checkout@basel"), ("promote", "checkout@basel")]));
    // What fails after it was done keeps later ones waiting again.
    reading.begin("bern", "3");
    assert!(reading.waits("checkout@bern").is_none());
    assert_eq!(reading.look("geneva", "3", "fail"), list(&[("rollback", "checkout@geneva")]));
    assert_eq!(reading.waits("checkout@bern").unwrap(), "geneva comes first, and it was rolled back");
    assert_eq!(reading.look("bern", "3", "pass"), list(&[("pass", "checkout@bern")]));
}

#[test]
fn people_command_one_cell_and_may_accept_the_order() {
    let mut reading = Reading::of(of_cells(&["geneva", "basel"]));
    reading.begin("geneva", "2");
    reading.begin("basel", "2");
    reading.look("basel", "2", "pass");
    assert_eq!(reading.command("checkout@geneva", Command::Hold, None).unwrap(), list(&[("held", "checkout@geneva")]));
    assert_eq!(reading.phase("checkout@basel"), Phase::Passed);
    assert_eq!(reading.waits("checkout@basel").unwrap(), "geneva comes first, and it is held");
    assert_eq!(reading.command("checkout@basel", Command::Approve, None).unwrap(), []);
    let wrong = reading.command("checkout@basel", Command::Accept, Some("luck")).unwrap_err();
    assert!(wrong.contains("faster") && wrong.ends_with(", order"), "{wrong}");
    assert_eq!(
        reading.command("checkout@basel", Command::Accept, Some(ORDER)).unwrap(),
        list(&[("promote", "checkout@basel")])
    );
    assert_eq!(reading.phase("checkout@geneva"), Phase::Held);
    // For this attempt alone.
    reading.begin("basel", "3");
    assert_eq!(reading.look("basel", "3", "pass"), list(&[("pass", "checkout@basel")]));
    assert_eq!(
        reading.command("checkout@basel", Command::RollBack, None).unwrap(),
        list(&[("rollback", "checkout@basel")])
    );
    assert_eq!(reading.phase("checkout@geneva"), Phase::Held);
}

#[test]
fn without_an_order_each_cell_is_a_rollout_of_its_own() {
    let mut reading = Reading::of(declared());
    reading.begin("geneva", "2");
    reading.begin("", "2");
    assert_eq!(reading.book.rollout("checkout").unwrap().cell, "");
    assert_eq!(reading.look("geneva", "2", "fail"), list(&[("rollback", "checkout@geneva")]));
    assert_eq!(reading.look("", "2", "pass"), list(&[("pass", "checkout"), ("promote", "checkout")]));
    // An environment and a cell of one name are two, whichever comes first.
    let key = json!({ "environment": "geneva", "service": "web" });
    reading.ledger.add(
        "begin",
        json!({ "service": "web in geneva", "services": [key], "control": "1", "candidate": "2", "at": at(0).to_string() }),
    );
    reading.go_on();
    let ids: Vec<&str> = reading.book.rollouts().map(|of| of.id.as_str()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids[2].starts_with("checkout@geneva@") && ids[..2] == ["checkout", "checkout@geneva"], "{ids:?}");
}

#[test]
fn a_service_whose_lines_name_no_cell_is_of_every_cell() {
    let both = Declared { services: vec!["web".to_owned(), "api".to_owned()], ..of_cells(&["geneva", "basel"]) };
    let mut reading = Reading::of(both);
    reading.begin("geneva", "2");
    assert_eq!(reading.look("geneva", "2", "pass"), [], "the other is not compared yet");
    reading.begin_of("api", "", "2");
    reading.begin("basel", "2");
    let of_api = |reading: &mut Reading, verdict: &str, more: Value| {
        reading.ledger.look("api", "2", 6, verdict, more);
        reading.go_on()
    };
    assert_eq!(
        of_api(&mut reading, "pass", json!({})),
        list(&[("pass", "checkout@geneva"), ("promote", "checkout@geneva, next basel")])
    );
    assert_eq!(reading.look("basel", "2", "pass"), list(&[("pass", "checkout@basel"), ("promote", "checkout@basel")]));
    // What fails there fails in every cell.
    let told = of_api(&mut reading, "fail", json!({ "automatic_at": AUTOMATIC }));
    let mut ids: Vec<&str> = told.iter().filter(|of| of.0 == "rollback").map(|of| of.1.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["checkout", "checkout@basel", "checkout@geneva"], "{told:?}");
    assert!(reading.book.rollout("checkout@basel").unwrap().reason().contains("api: worse by"));
}

#[test]
fn who_waits_is_not_late_and_what_is_kept_is_the_whole_of_it() {
    let course = Course { deadline: Some((10 * MINUTE, AtDeadline::RollBack)), ..Course::default() };
    let mut reading = Reading::of(Declared { course, ..of_cells(&["geneva", "basel"]) });
    reading.begin("geneva", "2");
    reading.begin("basel", "2");
    let due = |reading: &Reading, minute: i64| -> Vec<String> {
        reading.book.due(Now::both(at(minute))).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(due(&reading, 30), ["checkout@geneva"]);
    // The journal keeps a book as it is.
    let kept: Book = serde_json::from_str(&serde_json::to_string(&reading.book).unwrap()).unwrap();
    assert_eq!(kept, reading.book);
    reading.look("geneva", "2", "pass");
    assert_eq!((due(&reading, 14), due(&reading, 15)), (vec![], vec!["checkout@basel".to_owned()]));
}
