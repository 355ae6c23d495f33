use std::collections::BTreeSet;

use super::*;

fn redaction(fields: &[&str], hashed: &[&str], looks: &[Looks]) -> Redaction {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let redact = Redact { fields: set(fields), hashed: set(hashed), looks: looks.iter().copied().collect() };
    Redaction::new(&redact, &Key::new(b"k"))
}

fn line(redaction: &Redaction, line: &str) -> String {
    redaction.line(Cow::Borrowed(line), &[]).into_owned()
}

#[test]
fn named_fields_are_taken_out_wherever_they_stand() {
    let of = redaction(&["password", "card.number"], &["user.id"], &[]);
    for (before, after) in [
        (r#"{"password":"a\"b","x":1}"#, r#"{"password":"<redacted>","x":1}"#),
        (r#"{"a":{"Password":12},"x":1}"#, r#"{"a":{"Password":"<redacted>"},"x":1}"#),
        (r#"{"password":{"old":"a","new":"b"}}"#, r#"{"password":"<redacted>"}"#),
        (r#"{"password":true,"b":[1]}"#, r#"{"password":"<redacted>","b":[1]}"#),
        (r#"{"list":[{"password":"x"},{"y":1.50}]}"#, r#"{"list":[{"password":"<redacted>"},{"y":1.5}]}"#),
        (
            r#"{"card.number":"1","card":{"number":2},"number":3}"#,
            r#"{"card.number":"<redacted>","card":{"number":"<redacted>"},"number":3}"#,
        ),
        (r#"{"mypassword":"x","password_hint":"y"}"#, r#"{"mypassword":"x","password_hint":"y"}"#),
        (r#"{"message":"login password=hunter2 ok"}"#, r#"{"message":"login password=<redacted> ok"}"#),
        (r#"{"message":"{\"password\":\"a b\",\"n\":1}"}"#, r#"{"message":"{\"password\":\"<redacted>\",\"n\":1}"}"#),
        ("level=info password=hunter2", r#"{"level":"info","password":"<redacted>"}"#),
        // What cannot be read is not kept with what it holds.
        (r#"{"password":"hunter2","#, r#"{"password":"<redacted>","#),
        (r#"{"password":"hun"#, r#"{"password":"<redacted>""#),
    ] {
        assert_eq!(line(&of, before), after, "{before}");
    }
    let hashed = line(&of, r#"{"user":{"id":"ann"}}"#);
    assert!(hashed.starts_with(r#"{"user":{"id":"<hash:"#), "{hashed}");
    assert_eq!(hashed, line(&of, r#"{"user":{"id":"ann"}}"#));
    assert_ne!(hashed, line(&of, r#"{"user":{"id":"bob"}}"#));
    // Another key, another hash.
    let other = Redaction::new(
        &Redact { hashed: BTreeSet::from(["user.id".to_owned()]), ..Redact::default() },
        &Key::default(),
    );
    assert_ne!(hashed, line(&other, r#"{"user":{"id":"ann"}}"#));
}

#[test]
fn what_looks_like_a_secret_is_found() {
    let of = redaction(&[], &[], &Looks::ALL);
    let found = |text: &str| line(&of, &serde_json::json!({ "message": text }).to_string());
    for (before, after) in [
        ("paid with 4111 1111 1111 1111.", "paid with <card>."),
        ("paid with 4111-1111-1111-1111, 5500005555555559", "paid with <card>, <card>"),
        ("378282246310005", "<card>"),
        ("card 4111.1111.1111.1111.", "card <card>."),
        ("npm react@18.2.0 and left-pad@1.3.0-beta.1", "npm react@18.2.0 and left-pad@1.3.0-beta.1"),
        // No check digit, no issuer, part of another number or of a word.
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("1717236000000000", "1717236000000000"),
        ("a4111111111111111", "a4111111111111111"),
        ("0.4111111111111111", "0.4111111111111111"),
        ("4111111111111111111111", "4111111111111111111111"),
        ("Authorization: Bearer hun2", "Authorization: <redacted> <redacted>"),
        ("Authorization: Negotiate YIIabc def", "Authorization: <redacted> <redacted>"),
        ("Cookie: a=b; session=hunter2; sid=hunter3", "Cookie: <redacted>"),
        (r#"Parameters: {"password"=>"hunter2", "n"=>1}"#, r#"Parameters: {"password"=>"<redacted>", "n"=>1}"#),
        (
            r#"{"password":["hunter2"],"credentials":{"old":"hunter3"},"n":1}"#,
            r#"{"password":"<redacted>","credentials":"<redacted>","n":1}"#,
        ),
        (r#"{"password":99887766,"n":1}"#, r#"{"password":"<redacted>","n":1}"#),
        ("{'password': b'hunter2', 'n': 1}", "{'password': <redacted>, 'n': 1}"),
        (r#"Login { password: Some("hunter2"), n: 1 }"#, "Login { password: <redacted>, n: 1 }"),
        ("redis://:hunter2@cache:6379", "redis://<token>@cache:6379"),
        ("postgres://ann:hun@ter2@db/x", "postgres://<token>@db/x"),
        ("lodash@4.17.21-beta.rc git@github.com:org/repo", "lodash@4.17.21-beta.rc git@github.com:org/repo"),
        ("took 4111.111111111111 ms", "took 4111.111111111111 ms"),
        ("first-pass: 12ms, second_pass=9 exit_sig=9", "first-pass: 12ms, second_pass=9 exit_sig=9"),
        ("shop:hun@ter2@tcp(db:3306)/shop?a=b", "shop:<token>@tcp(db:3306)/shop?a=b"),
        ("docker run -u 1000:1000 x; curl -u 'ann:hunter2' y", "docker run -u 1000:1000 x; curl -u 'ann:<token>' y"),
        ("curl -u ann:hunter2 https://x", "curl -u ann:<token> https://x"),
        ("CREATE USER x IDENTIFIED BY 'hunter2'", "CREATE USER x IDENTIFIED BY <token>"),
        ("https://hooks.slack.com/services/T0/B0/abc ok", "https://hooks.slack.com/services/<token> ok"),
        ("error_signature=3f2a x-signature=3f2a", "error_signature=3f2a x-signature=<redacted>"),
        ("bearer abcdefgh12345678", "bearer <token>"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "<token>"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key <token> used"),
        ("ghp_0123456789012345678901234567890123ab", "<token>"),
        ("postgres://ann:pw@db:5432/shop", "postgres://<token>@db:5432/shop"),
        ("GET /x?token=abc123&a=1", "GET /x?token=<redacted>&a=1"),
        (
            "accessToken=abc DB_PASSWORD=def x-auth-token: ghi",
            "accessToken=<redacted> DB_PASSWORD=<redacted> x-auth-token: <redacted>",
        ),
        ("max_tokens=512 tokens: 7", "max_tokens=512 tokens: 7"),
        (
            "user[password]=hunter2 user%5Bpassword%5D=hunter3 x",
            "user[password]=<redacted> user%5Bpassword%5D=<redacted> x",
        ),
        (
            "q=password%3Dhunter2 DB_PASS=hunter3 tests pass: 12",
            "q=password%3D<redacted> DB_PASS=<redacted> tests pass: 12",
        ),
        ("<login><password>hun ter2</password></login>", "<login><password><redacted></password></login>"),
        ("mysql --password hunter2 -h db", "mysql --password <redacted> -h db"),
        ("PHPSESSID=hunter2 otp=123456 sig: x", "PHPSESSID=<redacted> otp=<redacted> sig: x"),
        (
            "Authorization: OAuth oauth_nonce=\"hunter2\", oauth_signature=\"hunter3\" status=200",
            "Authorization: <redacted> <redacted> status=200",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=hunter2 status=200",
            "Authorization: <redacted> <redacted> status=200",
        ),
        ("Cookie: theme=dark; _shop_session=hunter2 status=200", "Cookie: <redacted> status=200"),
    ] {
        let told: serde_json::Value = serde_json::from_str(&found(before)).unwrap();
        assert_eq!(told["message"].as_str().unwrap(), after, "{before}");
    }
    // Objects in strings in strings.
    let deep =
        serde_json::json!({ "b": serde_json::json!({ "password": "hun ter2", "n": 1 }).to_string() }).to_string();
    let deeper = serde_json::json!({ "a": deep }).to_string();
    let apostrophe =
        serde_json::json!({ "b": serde_json::json!({ "password": "it's hun ter2", "n": 1 }).to_string() }).to_string();
    for text in [deep, deeper, apostrophe] {
        let told = found(&text);
        assert!(told.contains("<redacted>") && !told.contains("hun") && !told.contains("ter2"), "{told}");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(told["message"].as_str().unwrap()).is_ok(), "{told}");
    }
    assert_eq!(line(&of, r#"{"has_password":true,"n":1}"#), r#"{"has_password":true,"n":1}"#);
    for address in ["ann@münchen.de", "jürgen@example.com", "o'brien@example.com"] {
        let told = found(address);
        assert!(told.starts_with("{\"message\":\"<email:"), "{address}: {told}");
    }
    // A name of a field may be an address.
    assert!(!line(&of, r#"{"list":[{"ann@example.com":3}]}"#).contains("ann@"));
    let told = line(&of, r#"{"by_user":{"ann@example.com":3,"a\"b":1}}"#);
    assert!(!told.contains("ann@") && told.contains("<email:") && told.contains(r#""a\"b":1"#), "{told}");
    let told = found("mail ann@example.com\nand ann@EXAMPLE.com, bob@example.com");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let words: Vec<&str> = told["message"].as_str().unwrap().split(['\n', ' ']).collect();
    assert!(words[1].starts_with("<email:") && words[1].ends_with('>'), "{told}");
    assert_eq!(words[3], format!("{},", words[1]));
    assert_ne!(words[4], words[1]);
    for key in ["accessToken", "client_secret", "db_password", "x-amz-security-token", "Credentials", "jwt"] {
        assert_eq!(line(&of, &format!(r#"{{"{key}":"abc"}}"#)), format!(r#"{{"{key}":"<redacted>"}}"#));
    }
    assert!(!line(&of, r#"{"u":"/reset?email=ann%40example.com"}"#).contains("ann"));
    assert_eq!(line(&of, r#"{"card":4111111111111111,"n":1}"#), r#"{"card":"<card>","n":1}"#);
}

#[test]
fn an_access_log_stays_one() {
    let of = redaction(&["referer"], &["user", "client"], &[Looks::Email, Looks::Token]);
    let told = line(
        &of,
        r#"10.0.0.7 - ann [01/Jun/2026:10:00:00 +0000] "GET /a?mail=x@y.org HTTP/1.1" 200 5 "http://a/b" "curl/8" rt=0.100"#,
    );
    let parsed = access::parse_access(&told).unwrap();
    assert!(parsed.client.starts_with("<hash:") && parsed.user.unwrap().starts_with("<hash:"), "{told}");
    assert!(parsed.path.unwrap().starts_with("/a?mail=<email:"), "{told}");
    assert_eq!(
        (parsed.referer, parsed.agent, parsed.request_time),
        (Some("<redacted>"), Some("curl/8"), Some("0.100"))
    );
}

#[test]
fn what_holds_nothing_stays_to_the_byte() {
    let of = redaction(&["password"], &[], &Looks::ALL);
    for text in [r#"{ "a" : 1.50e3, "b":"x\u0041" , "c":[1.0,  2]}"#, "", "{", r#"{"a":"\ud800"}"#, "panic: no cart"] {
        assert_eq!(line(&of, text), text);
    }
    // Of a line of no known form nobody knows which part is a field that is named.
    assert_eq!(line(&of, "ann;hunter2;7"), REDACTED);
    assert_eq!(line(&redaction(&[], &[], &Looks::ALL), "ann;x;7"), "ann;x;7");
}

#[test]
fn hash_is_hmac_sha_256() {
    // RFC 4231, test case 2, the first 64 bits.
    assert_eq!(hex(&Key::new(b"Jefe").hash(b"what do ya want for nothing?")), "5bdcc146bf60754e");
}

/// What cannot be looked for is not kept.
#[test]
fn past_what_an_expression_may_hold_no_text_is_kept() {
    let names: Vec<String> =
        (0..3_000).map(|n| format!("a rather long name of a field, number {n}").repeat(3)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let of = redaction(&names, &[], &[]);
    assert_eq!(
        line(&of, r#"{"message":"password=hunter2","status":200}"#),
        r#"{"message":"<redacted>","status":"<redacted>"}"#
    );
    let of = redaction(&["password"], &[], &Looks::ALL);
    assert!(!of.is_blind, "what is usual can be looked for");
}

/// What a text lost goes from the field of the same name; a field that has the same value by chance stays.
#[test]
fn fields_of_what_a_text_lost_go_by_name() {
    let of = redaction(&[], &[], &Looks::ALL);
    for (before, after) in [
        (
            r#"{"message":"in Cookie: basket=hunter2; theme=dark","basket":"hunter2","other":"hunter2","theme":"dark"}"#,
            r#"{"message":"in Cookie: <redacted>","basket":"<redacted>","other":"hunter2","theme":"<redacted>"}"#,
        ),
        // Names and values in lists.
        (
            r#"{"attributes":[{"key":"api_key","value":{"stringValue":"ak1"}},{"key":"n","value":{"intValue":"3"}}]}"#,
            r#"{"attributes":[{"key":"api_key","value":{"stringValue":"<redacted>"}},{"key":"n","value":{"intValue":"3"}}]}"#,
        ),
        (
            r#"{"h":[{"name":"password","value":"x"}],"rawHeaders":["Host","a","X-Api-Key","ak1","Accept","b"]}"#,
            r#"{"h":[{"name":"password","value":"<redacted>"}],"rawHeaders":["Host","a","X-Api-Key","<redacted>","Accept","b"]}"#,
        ),
        (
            r#"{"argv":["run","--token","t1","-v"],"tokens":["a","b"],"scopes":["token","read"]}"#,
            r#"{"argv":["run","--token","<redacted>","-v"],"tokens":"<redacted>","scopes":["token","read"]}"#,
        ),
        // Part of another's name.
        (r#"{"message":"Cookie: basid=1","id":"1"}"#, r#"{"message":"Cookie: <redacted>","id":"1"}"#),
        (
            r#"{"error_signature":"a1","first_pass":12,"signature":"a2","db_pass":"x"}"#,
            r#"{"error_signature":"a1","first_pass":12,"signature":"<redacted>","db_pass":"<redacted>"}"#,
        ),
    ] {
        assert_eq!(line(&of, before), after, "{before}");
    }
    // However many fields and pairs there are, what was lost is found.
    let pairs: Vec<String> = (0..3_000).map(|n| format!("f{n}=v{n}")).collect();
    let fields: Vec<String> = (0..3_000).map(|n| format!("\"f{n}\":\"v{n}\"")).collect();
    let long = format!(r#"{{"message":"a Cookie: {}",{}}}"#, pairs.join("; "), fields.join(","));
    let left = line(&of, &long);
    assert!(!left.contains("v17\"") && !left.contains("v2999\""), "{}", &left[..200]);
}

/// Secrets as programs, libraries and services write them in text.
#[test]
fn a_secret_is_found_as_it_is_written() {
    let of = redaction(&[], &[], &[Looks::Card, Looks::Token]);
    let found = |text: &str| line(&of, &serde_json::json!({ "message": text }).to_string());
    for (before, after) in [
        // Addresses that are signed, and forms.
        ("https://x.blob.net/c?sv=2020&sig=a%2Fb%3D ok", "https://x.blob.net/c?sv=2020&sig=<token> ok"),
        ("user=ann&pass=hunter2&n=1", "user=ann&pass=<token>&n=1"),
        ("GET /login?pass=123", "GET /login?pass=<token>"),
        ("pass=hunter2&user=ann", "pass=<token>&user=ann"),
        ("next=%2Fx%3Fa%3D1%26sig%3Dhunter2", "next=%2Fx%3Fa%3D1%26sig%3D<token>"),
        // Users and passwords of addresses and of data sources.
        ("root:hunter2@(db:3306)/shop", "root:<token>@(db:3306)/shop"),
        ("root:hunter2@/shop?a=b", "root:<token>@/shop?a=b"),
        ("dsn=root:p/hun:ter2@tcp(db:3306)/shop", "dsn=root:<token>@tcp(db:3306)/shop"),
        ("postgres://app:pa/hunter2@db/shop ann", "postgres://<token>@db/shop ann"),
        ("postgres://app:p:a/hun@ter2@db/shop", "postgres://<token>@db/shop"),
        ("postgres://app:sk-proj-abcdefgh/hunter2@db/shop", "postgres://<token>@db/shop"),
        ("a=amqp://g:x1@mq/,b=redis://:x2@h", "a=amqp://<token>@mq/,b=redis://<token>@h"),
        ("https://ann:x1@npm.x/@scope/pkg?a=b@c", "https://<token>@npm.x/@scope/pkg?a=b@c"),
        ("jdbc:oracle:thin:app/hun/ter2@//db:1521/x", "jdbc:oracle:thin:app/<token>@//db:1521/x"),
        ("http://host:8080/@ann http://[::1]:80/a@b", "http://host:8080/@ann http://[::1]:80/a@b"),
        ("https://x/y:z@w jdbc:oracle:thin:@//db:1521/x", "https://x/y:z@w jdbc:oracle:thin:@//db:1521/x"),
        // Command lines.
        ("curl -uann:hunter2 https://x", "curl -uann:<token> https://x"),
        ("curl -u \"ann:hunter2\" https://x", "curl -u \"ann:<token>\" https://x"),
        ("curl -u'ann:hunter2' https://x", "curl -u'ann:<token>' https://x"),
        ("curl --user=ann:hunter2 https://x", "curl --user=ann:<token> https://x"),
        ("mysql -uroot -phunter2 shop", "mysql -uroot -p<token> shop"),
        ("mysqldump -u root -h db -p'hunter2' shop", "mysqldump -u root -h db -p<token> shop"),
        ("sshpass -p hunter2 ssh x", "sshpass -p <token> ssh x"),
        ("docker login -u ann -p hunter2 reg", "docker login -u ann -p <token> reg"),
        ("docker run -p 80:80 x; ssh -p 2222 y", "docker run -p 80:80 x; ssh -p 2222 y"),
        ("rsync -u src:dst; deploy -u region:eu-west-1", "rsync -u src:dst; deploy -u region:eu-west-1"),
        ("ls -url:x", "ls -url:x"),
        // Tokens and hooks by their form.
        ("SG.abcdefgh12.abcdefgh12 hvs.CAESIabcdefgh12", "<token> <token>"),
        ("dckr_pat_abcdefgh12 sk-proj-abcdefgh12", "<token> <token>"),
        ("https://discord.com/api/webhooks/1/hunter2", "https://discord.com/api/webhooks/<token>"),
        ("https://x.webhook.office.com/webhookb2/a@b/c ok", "https://x.webhook.office.com/webhookb2/<token> ok"),
        ("https://api.telegram.org/bot12:AAx/sendMessage", "https://api.telegram.org/bot<token>/sendMessage"),
        (
            "a -----BEGIN PGP PRIVATE KEY BLOCK-----\nComment: a-b\n\nlQhunter2\n-----END PGP PRIVATE KEY BLOCK----- b",
            "a <token> b",
        ),
        // Names.
        ("client-key-data: hunter2", "client-key-data: <redacted>"),
        ("Ocp-Apim-Subscription-Key: x1", "Ocp-Apim-Subscription-Key: <redacted>"),
        ("x-functions-key: x1", "x-functions-key: <redacted>"),
        ("User{name=ann, passwordHash=$2a$10$x1}", "User{name=ann, passwordHash=<redacted>}"),
        ("password_digest: x1 dbPass=x2 DB_PW=x3", "password_digest: <redacted> dbPass=<redacted> DB_PW=<redacted>"),
        ("<wsse:Password Type=\"x\">hun ter2</wsse:Password>", "<wsse:Password Type=\"x\"><redacted></wsse:Password>"),
        ("Server=x;Uid=app;PWD=/hunter2;", "Server=x;Uid=app;PWD=<redacted>;"),
    ] {
        let told: serde_json::Value = serde_json::from_str(&found(before)).unwrap();
        assert_eq!(told["message"].as_str().unwrap(), after, "{before}");
    }
}

/// What people search by and what is counted has names as secrets have, and stays.
#[test]
fn what_only_sounds_like_a_secret_stays() {
    let of = redaction(&[], &[], &Looks::ALL);
    for text in [
        "page_token=abc nextToken=abc next_page_token=abc continuation_token: x fencing_token=12",
        "basic authentication failed",
        "bearer authentication required",
        "user identified by \"email\"",
        "PWD=/srv/app pwd: /app OLDPWD=/srv cwd=/srv",
        "pass: 12 fail: 3",
        "tests.pass=17 unit_pass: 9",
        "pass=true",
        "sig=SIGTERM",
        "compass=north bypass=true",
        "mysql pool -p 5",
    ] {
        let text = format!(r#"{{"message":{}}}"#, serde_json::Value::from(text));
        assert_eq!(line(&of, &text), text);
    }
    for text in [
        r#"{"page_token":"a","nextToken":"b","nextPageToken":"c","ContinuationToken":"d","fencing_token":12}"#,
        r#"{"pass":17,"tests":{"pass":17},"n_cookie":4,"rate":{"token":4},"list":[{"pass":17}]}"#,
        r#"{"cookies":[],"cookie":{},"tokens":{"input":12},"prompt_tokens":[5,6],"passwords":[ ]}"#,
        r#"{"PWD":"/srv/app","env":{"pwd":"/srv"},"compass":"north"}"#,
        r#"{"feature":{"name":"token","value":3},"name":"cart","value":"x","path":"/token","input":"y"}"#,
        r#"{"errors":[{"field":"password","message":"too short"}],"scopes":["token","read"],"pairs":[["token","read"]]}"#,
    ] {
        assert_eq!(line(&of, text), text);
    }
    // Long enough to be one, or where nothing is counted.
    for text in [r#"{"pass":1234}"#, r#"{"password":17}"#, r#"{"otp":17}"#, r#"{"pwd":"hunter2"}"#, r#"{"Pwd":"/x"}"#] {
        assert!(line(&of, text).ends_with(r#":"<redacted>"}"#), "{text}");
    }
}

/// A value whose name stands beside it, not before it.
#[test]
fn a_value_goes_by_the_name_beside_it() {
    let of = redaction(&[], &[], &Looks::ALL);
    for (before, after) in [
        (r#"{"name":"password","value":"x"}"#, r#"{"name":"password","value":"<redacted>"}"#),
        (r#"{"attr":{"value":"x","name":"password"}}"#, r#"{"attr":{"value":"<redacted>","name":"password"}}"#),
        (
            r#"{"key":"apiKey","oldValue":"x","newValue":1}"#,
            r#"{"key":"apiKey","oldValue":"<redacted>","newValue":"<redacted>"}"#,
        ),
        (
            r#"{"e":[{"field":"password","rejectedValue":"x"}]}"#,
            r#"{"e":[{"field":"password","rejectedValue":"<redacted>"}]}"#,
        ),
        (
            r#"{"e":{"property":"user.password","value":"x"}}"#,
            r#"{"e":{"property":"user.password","value":"<redacted>"}}"#,
        ),
        (r#"{"e":[{"path":["password"],"received":"x"}]}"#, r#"{"e":[{"path":["password"],"received":"<redacted>"}]}"#),
        (
            r#"{"e":{"loc":["body","password"],"input":"x"}}"#,
            r#"{"e":{"loc":["body","password"],"input":"<redacted>"}}"#,
        ),
        (r#"{"name":"password","value":null}"#, r#"{"name":"password","value":null}"#),
        (r#"{"h":[["X-Api-Key","x"],["Accept","y"]]}"#, r#"{"h":[["X-Api-Key","<redacted>"],["Accept","y"]]}"#),
        (r#"{"h":[["Authorization","x"],["a","b","c"]]}"#, r#"{"h":[["Authorization","<redacted>"],["a","b","c"]]}"#),
        (r#"{"cookies":{"sid":"x"},"n":1}"#, r#"{"cookies":"<redacted>","n":1}"#),
        (r#"{"list":[{"cookies":{"sid":"x"}}]}"#, r#"{"list":[{"cookies":"<redacted>"}]}"#),
        (r#"{"passwordHash":"x","dbPass":"x"}"#, r#"{"passwordHash":"<redacted>","dbPass":"<redacted>"}"#),
        (r#"{"DB_PW":"x","x-functions-key":"x"}"#, r#"{"DB_PW":"<redacted>","x-functions-key":"<redacted>"}"#),
    ] {
        assert_eq!(line(&of, before), after, "{before}");
    }
}

/// What frameworks, databases and command lines say of secrets; beside each what looks nearly so and stays.
#[test]
fn a_secret_goes_from_what_is_said_of_it() {
    let of = redaction(&[], &[], &[Looks::Token]);
    let told = |text: &str| {
        let told = line(&of, &serde_json::json!({ "message": text }).to_string());
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["message"].as_str().unwrap().to_owned()
    };
    for (before, after) in [
        // Clients, whatever was named before them, however far away.
        ("deploy failed: curl -u ann:hunter2 x", "deploy failed: curl -u ann:<token> x"),
        ("cp a b && curl -u 'ann:hun ter2' x", "cp a b && curl -u 'ann:<token>' x"),
        ("curl -b 'a=1; b=hunter2' -uann:hunter2", "curl -b <token> -uann:<token>"),
        ("http -a ann:hunter2 GET https://x", "http -a ann:<token> GET https://x"),
        ("mongosh -u app -p hunter2 db", "mongosh -u app -p <token> db"),
        ("redis-cli -h x -a hunter2 ping", "redis-cli -h x -a <token> ping"),
        ("sqlcmd -S db -P hunter2; plink -pw hunter3 h", "sqlcmd -S db -P <token> plink -pw <token> h"),
        ("keytool -storepass hunter2 -v", "keytool -storepass <token> -v"),
        ("openssl pkcs12 -passin pass:hunter2", "openssl pkcs12 -passin pass:<token>"),
        ("CONFIG SET requirepass hunter2", "CONFIG SET requirepass <token>"),
        ("rabbitmqctl add_user ann hunter2", "rabbitmqctl add_user ann <token>"),
        ("aws configure set aws_secret_access_key hunter2", "aws configure set aws_secret_access_key <token>"),
        ("ldapsearch -D cn=a -w hunter2", "ldapsearch -D cn=a -w <token>"),
        ("--cookie 'a=1; sid=hunter2' x", "--cookie <redacted> x"),
        // What checks of forms say.
        (
            "on field 'password': rejected value [hun]ter2]; codes [a]",
            "on field 'password': rejected value [<redacted>]; codes [a]",
        ),
        (
            "{'loc': ('body', 'password'), 'msg': 'm', 'input': 'hunter2', 'n': 1}",
            "{'loc': ('body', 'password'), 'msg': 'm', 'input': <redacted>, 'n': 1}",
        ),
        (
            "2 errors\nemail\n  bad token [input_value='ann']\npassword\n  short [t=x, input_value='hunter2', n=1]",
            "2 errors\nemail\n  bad token [input_value='ann']\npassword\n  short [t=x, input_value=<redacted>, n=1]",
        ),
        (
            r#"not valid: [{"field":"password","rejectedValue":"hunter2"}]"#,
            r#"not valid: [{"field":"password","rejectedValue":"<redacted>"}]"#,
        ),
        // SQL and databases.
        ("SET `password`='hunter2',`n`='1'", "SET `password`=<redacted>,`n`='1'"),
        ("api_key IN ('a', 'b') OR token LIKE 'c%'", "api_key IN (<redacted>) OR token LIKE <redacted>"),
        ("ALTER USER app WITH PASSWORD 'hunter 2'", "ALTER USER app WITH PASSWORD <redacted>"),
        ("SET PASSWORD FOR 'a'@'%' = 'hunter2'", "SET PASSWORD FOR 'a'@'%' = <redacted>"),
        ("the password \"Hunter2\" was set", "the password <redacted> was set"),
        ("Key (id, api_key)=(12, hunter2) already exists.", "Key (id, api_key)=(12, <redacted>) already exists."),
        ("Duplicate entry 'hunter2' for key 'users.api_key'", "Duplicate entry '<redacted>' for key 'users.api_key'"),
        (
            "INSERT INTO `u` (`n`,`password`) VALUES (1,'a,(''b'),(2,'c') RETURNING x",
            "INSERT INTO `u` (`n`,`password`) VALUES (1,<redacted>),(2,<redacted>) RETURNING x",
        ),
        (r#"WHERE token = $1  [["token", "hunter2x"]]"#, r#"WHERE token = <redacted>  [["token","<redacted>"]]"#),
        // Configurations.
        ("- name: DB_PASSWORD\n  value: hunter2", "- name: DB_PASSWORD\n  value: <redacted>"),
        (r#"<add key="DbPassword" value="hunter2" />"#, r#"<add key="DbPassword" value=<redacted> />"#),
        (r#"<entry key="password">hun ter2</entry>"#, r#"<entry key="password"><redacted></entry>"#),
        (r#"["password"]=> string(7) "hunter2" }"#, r#"["password"]=> "<redacted>" }"#),
        ("[('x-api-key', 'hunter2x')]", "[('x-api-key', '<redacted>')]"),
        ("password: !secret hunter2", "password: !secret <redacted>"),
        (r#"password := "hunter2""#, r#"password := "<redacted>""#),
        ("password=<hunter2> password == 'hunter3'", "password=<redacted> password == <redacted>"),
        ("password=p@ss,word2;a retry=2", "password=<redacted> retry=2"),
        ("f(user=a,password=ab,cd)", "f(user=a,password=<redacted>)"),
        ("password[]=hunter2&password%5B%5D=hunter3", "password[]=<redacted>&password%5B%5D=<redacted>"),
        ("cookies: a=1; sid=hunter2", "cookies: <redacted>"),
        ("connect.sid=s%3Ahunter2", &format!("connect.sid={}", of.value(Way::Hashed, "s%3Ahunter2"))),
        ("sid=0123456789abcdef", &format!("sid={}", of.value(Way::Hashed, "0123456789abcdef"))),
        ("password2=x1 passcode=x2 cvv2=123", "password2=<redacted> passcode=<redacted> cvv2=<redacted>"),
        ("secret_key_base: x1 licenseKey=x2", "secret_key_base: <redacted> licenseKey=<redacted>"),
        // Tokens by their form.
        ("xapp-1-A0B1C2D3E4-12 ya29.a0Af0123456789abcdefgh", "<token> <token>"),
        ("GOCSPX-0123456789abcdefghij hf_0123456789abcdefghijklmnopqrstuvwx", "<token> <token>"),
        ("shpat_0123456789abcdef0123456789abcdef dop_v1_0123456789abcdef01234567", "<token> <token>"),
        ("pypi-AgEIcHlwaS5vcmcabcdef glsa_0123456789abcdefghij_1234abcd", "<token> <token>"),
        ("NRAK-0123456789ABCDEFGHIJ ATATT3xFfGF0123456789ab", "<token> <token>"),
        ("lin_api_0123456789abcdefghij sq0csp-0123456789abcdefghij", "<token> <token>"),
        // Words of other letters around it change nothing.
        ("für ghp_0123456789012345678901234567890123ab…", "für <token>…"),
        ("密码 bearer abcdefgh12345678。", "密码 bearer <token>。"),
    ] {
        assert_eq!(told(before), after, "{before}");
    }
    for text in [
        "curl x; rsync -u src:dst; git push -u a:b",
        "https://x/curl/y ls -a x:y",
        "mysql -b a=b; ls -uname:x",
        "http server on -a 0.0.0.0:80",
        "mongo started -p 27017; mongodump done -parallel 4; redis-cli -p 6379 ping; plink -P 22 h",
        "requirepass is set, add_user ann done, -storepasses x",
        "aws configure set region eu-west-1; ldapsearch -W -h x; pass: openssl -passin file:x",
        "on field 'email': rejected value [a]; on field 'password': rejected value [null]; codes []",
        "{'loc': ('body', 'email'), 'msg': 'bad password', 'input': 'ann'}",
        "user input='abc' after the password",
        r#"not valid: [{"field":"email","rejectedValue":"a"}] {"n":1.50}"#,
        "SET `name`='ann' WHERE name LIKE 'a%' AND id IN ('1')",
        "secret in 'default' namespace",
        "`token`: a word, `password` is none",
        "password 'required', password policy 'strict', a password \"must be long\"",
        "Key (user_id, name)=(12, ann) already exists.",
        "Duplicate entry 'ann' for key 'users.name_key'",
        "INSERT INTO t (token, n) VALUES ($1, $2), (NULL, 'x')",
        "INSERT INTO t (name, n) VALUES ('token', 'x')",
        "- name: PATH\n  value: /bin name=token value=3",
        r#"<add key="Name" value="ann" /> <entry key="name">ann</entry>"#,
        "missing: ['password', 'email'], ('x-api-key', 'x-trace-id')",
        "password=<empty> token=<not-set> password=<redacted>",
        "token expired, secret santa, cookie banner shown, authorization failed, password reset requested",
        "cookies: 3 cookies=4 nextPageTokenValue=abc",
        "sid=abc sid: 12 sid=S-1-5-21-3623811015-3361044348",
        "map_key=1 cache_key=a public_key=b sacred=yes token0=0xabc",
        "hf_dataset_loader_of_long_names pypi-mirror ya29.0.1 shpat_x dop_v1_migration NRAK-12 lin_api_docs",
        "commit 3f2a9c0d1e4b5a69788776655443322110ffeedd of shop-6c5b7f9d84-x2x4z",
        "id 123e4567-e89b-12d3-a456-426614174000 template_hash=5d41402abc4b2a76b9719d911017c592",
    ] {
        assert_eq!(told(text), text);
    }
}

/// Objects and lists in fields that are texts, names whose secret word is not the last, command lines in lists.
#[test]
fn a_secret_goes_from_what_a_field_holds() {
    let of = redaction(&[], &[], &[Looks::Token]);
    for (before, after) in [
        (
            r#"{"body":"{\"errors\": [{\"field\": \"password\", \"rejectedValue\": \"x\"}], \"n\":1.50}"}"#,
            r#"{"body":"{\"errors\": [{\"field\":\"password\",\"rejectedValue\":\"<redacted>\"}], \"n\":1.50}"}"#,
        ),
        (
            r#"{"body":"[{\"op\":\"add\",\"path\":\"/a/apiKey\",\"value\":\"x\"}]"}"#,
            r#"{"body":"[{\"op\":\"add\",\"path\":\"/a/apiKey\",\"value\":\"<redacted>\"}]"}"#,
        ),
        (r#"{"body":"{\\\"password\\\":\\\"a\\\\\\\"b\\\"}"}"#, r#"{"body":"{\\\"password\\\":\\\"<redacted>\\\"}"}"#),
        (
            r#"{"op":"replace","path":"/password","value":"x"}"#,
            r#"{"op":"replace","path":"/password","value":"<redacted>"}"#,
        ),
        (r#"{"e":[{"data":"x","dataPath":".password"}]}"#, r#"{"e":[{"data":"<redacted>","dataPath":".password"}]}"#),
        (r#"{"instancePath":"/password","data":"x"}"#, r#"{"instancePath":"/password","data":"<redacted>"}"#),
        (r#"{"header":"x-api-key","value":"x"}"#, r#"{"header":"x-api-key","value":"<redacted>"}"#),
        (r#"{"k":"password","v":"x"}"#, r#"{"k":"password","v":"<redacted>"}"#),
        (r#"{"setting":"smtp.password","value":"x"}"#, r#"{"setting":"smtp.password","value":"<redacted>"}"#),
        (
            r#"{"field":"password","from":"x","to":"y","n":1}"#,
            r#"{"field":"password","from":"<redacted>","to":"<redacted>","n":1}"#,
        ),
        (
            r#"{"d":[{"lhs":"x","path":["password"],"rhs":"y"}]}"#,
            r#"{"d":[{"lhs":"<redacted>","path":["password"],"rhs":"<redacted>"}]}"#,
        ),
        (r#"{"argv":["curl","-u","ann:hun ter2"]}"#, r#"{"argv":["curl","-u","ann:<redacted>"]}"#),
        (r#"{"cmd":["mysql","-uroot","-phunter2","db"]}"#, r#"{"cmd":["mysql","-uroot","-p<redacted>","db"]}"#),
        (r#"{"cookies":"sid=x","n":1}"#, r#"{"cookies":"<redacted>","n":1}"#),
        (r#"{"backup_codes":["x"],"n":1}"#, r#"{"backup_codes":"<redacted>","n":1}"#),
    ] {
        assert_eq!(line(&of, before), after, "{before}");
    }
    for name in [
        "cookieHeader",
        "authorizationHeader",
        "password1",
        "password_2",
        "passwordNew",
        "password.value",
        "tokenValue",
        "secretValue",
        "SecretString",
        "secret_key_base",
        "otp_code",
        "cvv2",
        "passcode",
        "auth_key",
        "appKey",
        "license_key",
        "shared_key",
        "ssh_key",
        "psk",
        "creds",
        "pwdHash",
    ] {
        assert_eq!(line(&of, &format!(r#"{{"{name}":"x"}}"#)), format!(r#"{{"{name}":"<redacted>"}}"#));
    }
    assert!(line(&of, r#"{"sid":"0123456789abcdef"}"#).starts_with(r#"{"sid":"<hash:"#));
    assert!(line(&of, r#"{"connect.sid":"x"}"#).starts_with(r#"{"connect.sid":"<hash:"#));
    for text in [
        r#"{"body":"{\"errors\": [{\"field\": \"email\", \"rejectedValue\": \"x\"}], \"n\":1.50}"}"#,
        r#"{"body":"[{\"op\":\"add\",\"path\":\"/name\",\"value\":1.50}]","list":"[1.50, 2]"}"#,
        r#"{"op":"login","path":"/token","value":"x"}"#,
        r#"{"name":"reset_password","from":"a","to":"b","data":"x","v":"y"}"#,
        r#"{"k":"n","v":"x","header":"Accept","value":"y"}"#,
        r#"{"argv":["rsync","-u","src:dst"],"args":["--user","app:staff"],"words":["token","read-only-x1"]}"#,
        r#"{"cookies":"3","backup_code":0,"sid":"abc","sids":["a"],"a":{"sid":{"n":1}},"h":[["sid","abc"]]}"#,
        r#"{"sid":"S-1-5-21-3623811015-3361044348","token0":"0xabc","nextPageTokenValue":"x"}"#,
        r#"{"passwordPolicy":"strict","password_length":12,"secretName":"tls","tokenType":"Bearer","token_ttl":9}"#,
    ] {
        assert_eq!(line(&of, text), text);
    }
}

/// However a text is made, each byte of it is looked at a bounded number of times.
#[test]
fn a_long_text_takes_no_longer_for_each_byte() {
    let of = redaction(&[], &[], &[Looks::Token]);
    for part in [
        "Key (",
        "Duplicate entry '",
        "token in ('a', ",
        " -u a:b",
        "password=a,",
        "input='",
        "{\"",
        "(token) values ('",
    ] {
        let text = part.repeat(200_000 / part.len());
        let told = line(&of, &serde_json::json!({ "message": text }).to_string());
        assert!(!told.is_empty(), "{part}");
    }
}
