//! A time stamping authority of the tests' own: OpenSSL's `ts` behind a few lines of HTTP
//! on loopback; and PFX files that OpenSSL makes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rsa::rand_core::{CryptoRng, RngCore, impls};
use win_trust::{Anchor, Identity, Moment, Signer, Stamper};

use super::judges::osslsigncode;
use super::{program, unsigned};

/// Repeatable keys: for tests alone.
pub struct Seeded(fastrand::Rng);

/// A source of keys that are the same each time.
pub fn random(seed: u64) -> Seeded {
    Seeded(fastrand::Rng::with_seed(seed))
}

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.0.u32(..)
    }
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        impls::fill_bytes_via_next(self, bytes);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

/// Runs openssl in a folder.
pub fn openssl(dir: &Path, args: &str) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(args.split_whitespace())
        .output()
        .expect("openssl runs");
    assert!(
        output.status.success(),
        "openssl {args}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A key and a self-signed certificate as `<name>.pfx` with the password `secret`.
pub fn pfx(dir: &Path, name: &str, key: &str, usage: &str, dates: &str) -> PathBuf {
    let subject = format!("/CN={name}");
    openssl(
        dir,
        &format!(
            "req -new -newkey {key} -noenc -keyout {name}.key -subj {subject} -out {name}.csr"
        ),
    );
    let extensions =
        format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n{usage}");
    std::fs::write(dir.join(format!("{name}.ext")), extensions).expect("written");
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n\
                  default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
    std::fs::write(dir.join("ca.cnf"), config).expect("written");
    std::fs::write(dir.join("index"), "").expect("written");
    std::fs::write(dir.join("index.attr"), "unique_subject=no\n").expect("written");
    std::fs::write(dir.join("serial"), "1000\n").expect("written");
    openssl(
        dir,
        &format!(
            "ca -batch -config ca.cnf -selfsign -keyfile {name}.key -in {name}.csr -out {name}.pem \
             -notext -extfile {name}.ext {dates}"
        ),
    );
    openssl(
        dir,
        &format!(
            "pkcs12 -export -inkey {name}.key -in {name}.pem -passout pass:secret -out {name}.pfx"
        ),
    );
    dir.join(format!("{name}.pfx"))
}

/// Makes an authority's certificate, and answers requests for time stamps until the test ends; returns its address.
pub fn serve(dir: PathBuf) -> String {
    pfx(
        &dir,
        "tsa",
        "rsa:2048",
        "extendedKeyUsage=critical,timeStamping",
        "-days 30",
    );
    let config = "[tsa]\ndefault_tsa=t\n[t]\nserial=tsaserial\ncrypto_device=builtin\n\
                  signer_cert=tsa.pem\nsigner_key=tsa.key\nsigner_digest=sha256\n\
                  default_policy=1.2.3.4\ndigests=sha256\nordering=no\ntsa_name=no\n\
                  ess_cert_id_chain=no\ness_cert_id_alg=sha256\n";
    std::fs::write(dir.join("ts.cnf"), config).expect("written");
    std::fs::write(dir.join("tsaserial"), "01\n").expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("connection");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let got = stream.read(&mut buffer).expect("request");
                request.extend_from_slice(&buffer[..got]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let length: Option<usize> = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
                let end = request.windows(4).position(|four| four == b"\r\n\r\n");
                if let (Some(end), Some(length)) = (end, length)
                    && request.len() >= end + 4 + length
                {
                    break request[end + 4..].to_vec();
                }
                assert_ne!(got, 0, "half a request");
            };
            let (query, reply) = (format!("{number}.tsq"), format!("{number}.tsr"));
            std::fs::write(dir.join(&query), body).expect("written");
            openssl(
                &dir,
                &format!("ts -reply -config ts.cnf -queryfile {query} -out {reply}"),
            );
            let reply = std::fs::read(dir.join(&reply)).expect("reply");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                reply.len()
            );
            stream.write_all(head.as_bytes()).expect("answer");
            stream.write_all(&reply).expect("answer");
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_pfx_signs_and_an_authority_stamps_the_time() {
    const TEST: &str = "a_pfx_signs_and_an_authority_stamps_the_time";
    let (Some(judge), Some(_)) = (program(TEST, "osslsigncode"), program(TEST, "openssl")) else {
        return;
    };
    let Some(files) = unsigned(TEST) else { return };
    let scratch = tempfile::tempdir().expect("folder");
    let dir = scratch.path();
    let file = pfx(
        dir,
        "mine",
        "rsa:2048",
        "extendedKeyUsage=codeSigning",
        "-days 30",
    );
    let bytes = std::fs::read(&file).expect("PFX");
    let identity = Identity::from_pfx(&file, &bytes, "secret", Moment::now()).expect("identity");
    let stamper = Stamper::new(&serve(dir.to_owned())).expect("address");
    // A day ago by its own word: the authority knows better.
    let signer = Signer {
        identity: &identity,
        time: Moment(Moment::now().0 - 24 * 3600),
        stamper: Some(&stamper),
    };
    let (path, image) = files
        .iter()
        .find(|(_, bytes)| win_trust::is_pe(bytes))
        .expect("image");
    let image = win_trust::sign_image(image, &signer, path).expect("signed");
    let signed = win_trust::judge_image(&image).expect("it holds");
    let stamp = signed.stamp.as_ref().expect("a time stamp");
    assert!(stamp.time.0 + 300 > Moment::now().0, "{}", stamp.time);
    let verdict = signed.judge(identity.chain(), Moment::now());
    assert_eq!(verdict, Ok(Anchor::Trusted));

    let target = dir.join("stamped.sys");
    std::fs::write(&target, &image).expect("written");
    let (root, tsa) = (dir.join("mine.pem"), dir.join("tsa.pem"));
    let args = [
        "-CAfile".as_ref(),
        root.as_os_str(),
        "-TSA-CAfile".as_ref(),
        tsa.as_os_str(),
        target.as_os_str(),
    ];
    let text = osslsigncode(&judge, &args).unwrap_or_else(|why| panic!("{why}"));
    assert!(
        text.contains("Timestamp Server Signature verification: ok"),
        "{text}"
    );

    // Nobody there; and an authority that is none.
    let dead = Stamper::new("http://127.0.0.1:9/").expect("address");
    let why = dead.stamp(b"x").expect_err("nobody answers").to_string();
    assert!(why.contains("http://127.0.0.1:9/"), "{why}");
    assert!(Stamper::new("https://127.0.0.1/").is_err());
}
