//! `canary FILE...` fails if one of the files, outputs of tests, shows the tests' token.

use std::process::ExitCode;

use wirestream_tests::canary::seen_in;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("canary: which files?");
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("canary: {file} cannot be read: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        for (form, line) in seen_in(&String::from_utf8_lossy(&text)) {
            eprintln!("canary: a token is shown in {file}, line {line}: as {form}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
