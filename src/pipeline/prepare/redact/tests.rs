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
