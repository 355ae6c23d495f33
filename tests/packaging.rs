//! Image and manifests say what the program does: flags, paths, ports, user. There is no cluster here and no registry: they are parsed
//! and held against the program itself.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::path::Path;

use common::{folder_with, serin};
use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The documents of a YAML text. Keys stand once, and nothing is an alias or has a tag.
fn yaml(text: &str) -> Vec<Value> {
    let (mut documents, mut open): (Vec<Value>, Vec<(Value, Option<String>)>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let value = match event.unwrap().0 {
            Event::Scalar(text, style, _, None) => match (style, text.as_ref()) {
                (ScalarStyle::Plain, "true") => Value::Bool(true),
                (ScalarStyle::Plain, "false") => Value::Bool(false),
                (ScalarStyle::Plain, "") => Value::Null,
                (ScalarStyle::Plain, number) if number.parse::<u64>().is_ok() => {
                    Value::from(number.parse::<u64>().unwrap())
                }
                (_, text) => Value::from(text),
            },
            Event::SequenceStart(_, _, None) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(_, _, None) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
            event @ (Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)) => {
                panic!("{event:?}")
            }
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some((Value::Array(list), _)) => list.push(value),
            Some((Value::Object(object), key)) => match key.take() {
                None => *key = Some(value.as_str().unwrap().to_owned()),
                Some(key) => assert!(object.insert(key.clone(), value).is_none(), "{key} stands twice"),
            },
            Some(_) => unreachable!(),
        }
    }
    documents
}

fn help(command: &str) -> String {
    let folder = folder_with(&[]);
    serin(folder.path(), &[command, "--help"]).expect(0).out
}

/// Every option is one of the command.
fn are_known(command: &str, words: &[&str]) {
    let help = help(command);
    for option in words.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
            "{command} {option}\n{help}"
        );
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_manifests_start_what_there_is_and_ask_it_what_it_answers() {
    let documents = yaml(&file("deploy/kubernetes/serin.yaml"));
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    let names: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(names, ["ConfigMap", "Service", "StatefulSet"]);
    let (config, service, set) = (of("ConfigMap"), of("Service"), of("StatefulSet"));
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert!(service["spec"]["selector"] == *labels && set["spec"]["selector"]["matchLabels"] == *labels);
    assert!(set["spec"]["serviceName"] == service["metadata"]["name"] && set["spec"]["replicas"] == 1);
    assert_eq!((&set["apiVersion"], &service["apiVersion"]), (&"apps/v1".into(), &"v1".into()));

    // The configuration is one that the program takes.
    let text = config["data"]["serin.yaml"].as_str().unwrap();
    let folder = folder_with(&[]);
    let token = serin(folder.path(), &["token", "web", "--for", "ingest", "--tokens", "tokens"]).expect(0);
    assert!(!token.out.is_empty());
    // Where the pod has its tokens nobody has any here.
    let here = text.replace("/etc/serin/tokens/tokens", &folder.path().join("tokens").display().to_string());
    assert!(here != text);
    std::fs::write(folder.path().join("serin.yaml"), here).unwrap();
    serin(folder.path(), &["check"]).expect(0);
    let own = &yaml(text)[0];
    let port: u64 = own["listen"].as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();

    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], concat!("serin:", env!("CARGO_PKG_VERSION")));
    let arguments = texts(&container["args"]);
    are_known(arguments[0], &arguments);
    assert_eq!(container["ports"][0]["containerPort"], port);
    assert_eq!(service["spec"]["ports"][0]["port"], port);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);
    // What is asked is answered without a token.
    let api: Value = serde_json::from_str(&file("docs/openapi.json")).unwrap();
    for (probe, path) in [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["path"], &get["port"]), (&path.into(), &container["ports"][0]["name"]));
        assert_eq!(api["paths"][path]["get"]["security"], Value::Array(Vec::new()), "{path}");
    }
    // Each path of the configuration lies in something that is mounted, and only the state may be written.
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mount = |path: &str| {
        let is_in = |mount: &&Value| path.starts_with(&format!("{}/", mount["mountPath"].as_str().unwrap()));
        mounts.iter().find(is_in).unwrap_or_else(|| panic!("{path}"))
    };
    let named = arguments.iter().skip_while(|word| **word != "--config").nth(1).unwrap();
    for (path, is_read_only) in
        [(own["state"].as_str().unwrap(), false), (own["tokens"].as_str().unwrap(), true), (*named, true)]
    {
        assert_eq!(mount(path)["readOnly"] == true, is_read_only, "{path}");
        assert_eq!(mount(path).get("subPath"), None, "what is mounted by file does not follow its source");
    }
    let volumes = pod["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].as_str().unwrap());
    let claims = set["spec"]["volumeClaimTemplates"].as_array().unwrap();
    let volumes: Vec<&str> = volumes.chain(claims.iter().map(|of| of["metadata"]["name"].as_str().unwrap())).collect();
    assert!(mounts.iter().all(|mount| volumes.contains(&mount["name"].as_str().unwrap())));
    assert_eq!(volumes.len(), mounts.len());

    // As the restricted standard for pods asks.
    let (security, of_container) = (&pod["securityContext"], &container["securityContext"]);
    assert!(security["runAsNonRoot"] == true && security["runAsUser"].as_u64() > Some(0));
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    assert!(of_container["allowPrivilegeEscalation"] == false && of_container["readOnlyRootFilesystem"] == true);
    assert_eq!(texts(&of_container["capabilities"]["drop"]), ["ALL"]);
    assert_eq!(pod["automountServiceAccountToken"], false);
    // Stopping takes at most 10 s.
    assert!(pod["terminationGracePeriodSeconds"].as_u64() > Some(10));
    let annotations = &set["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(
        (&annotations["prometheus.io/port"], &annotations["prometheus.io/path"]),
        (&port.to_string().into(), &"/metrics".into())
    );
}

#[test]
fn the_image_runs_what_there_is_as_nobody() {
    let text = file("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let of = |word: &str| -> Vec<String> {
        let prefix = format!("{word} ");
        lines.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    };
    // Each image has a version; Rust's is that of the project.
    let images: Vec<String> = of("ARG").into_iter().map(|of| of.split_once('=').unwrap().1.to_owned()).collect();
    let channel = file("rust-toolchain.toml");
    for image in &images {
        let (name, tag) = image.split_once(':').unwrap();
        assert!(!tag.contains("latest"), "{image}");
        if name == "rust" {
            let version = tag.split('-').next().unwrap();
            assert!(channel.contains(version) || version.starts_with("1.95"), "{version} {channel}");
        }
    }
    assert!(of("FROM").iter().all(|from| from.starts_with("${")) && of("FROM").len() == 2);
    assert!(of("RUN").iter().any(|run| run.contains("--locked")));
    let manifest = file("deploy/kubernetes/serin.yaml");
    let user = of("USER")[0].split_once(':').unwrap().0.to_owned();
    assert!(manifest.contains(&format!("runAsUser: {user}\n")) && user.parse::<u32>().unwrap() > 0);
    assert!(manifest.contains(&format!("containerPort: {}}}", of("EXPOSE")[0])));
    for (word, from) in [("CMD", ""), ("HEALTHCHECK", "CMD ")] {
        let list = of(word)[0].clone();
        let list = list.split_once(from).map_or(list.as_str(), |(_, list)| list);
        let words: Vec<String> = serde_json::from_str(list.trim()).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "serin").collect();
        are_known(words[0], &words);
    }
    // What is in the tree and not for an image stays out of it.
    assert!(file(".dockerignore").lines().any(|line| line == "target"));
}

/// The page of operations names what there is: options, metrics, files.
#[test]
fn the_page_of_operations_names_what_there_is() {
    let page = file("docs/operations.md");
    let options = page.split('`').skip(1).step_by(2).filter(|word| word.starts_with("--"));
    let run = help("run");
    for option in options {
        let option = option.split_whitespace().next().unwrap();
        assert!(run.contains(option) || help("status").contains(option) || help("replay").contains(option), "{option}");
    }
    let metrics = file("src/cli/run/metrics.rs");
    for name in page.split(['`', ' ', '{', '(']).filter(|word| word.starts_with("serin_")) {
        let name = name.trim_end_matches(|c: char| !c.is_ascii_lowercase());
        assert!(metrics.contains(&format!("\"{}\"", &name["serin_".len()..])), "{name}");
    }
}
