//! `docs/INTEGRATE.md`: the guide, with the programs of `clients/integrations`.

use std::{fmt::Write, fs};

use crate::{Failure, files};

const GUIDE: &str = include_str!("integrate.md");
/// The programs: their title, how each is started, its file, and its language.
const PROGRAMS: [(&str, &str, &str, &str); 2] = [
    (
        "FastAPI",
        "pip install fastapi httpx standardwebhooks uvicorn\n\
         GATEPOST_URL=http://127.0.0.1:8080 GATEPOST_SERVICE_KEY=sk_live_… WEBHOOK_SECRET=whsec_… \\\n  \
         uvicorn app:app --port 8001 --no-proxy-headers",
        "app.py",
        "python",
    ),
    (
        "Express",
        "npm install express@5 standardwebhooks\n\
         GATEPOST_URL=http://127.0.0.1:8080 GATEPOST_SERVICE_KEY=sk_live_… WEBHOOK_SECRET=whsec_… \\\n  \
         PORT=8002 node app.mjs",
        "app.mjs",
        "js",
    ),
];
/// A program that is longer is no guide any more.
const MOST_LINES: usize = 60;

/// Writes or checks the page.
pub fn run(check: bool) -> Result<(), Failure> {
    let mut page = GUIDE.to_owned();
    for (title, start, file, language) in PROGRAMS {
        let path = format!("clients/integrations/{file}");
        let program = fs::read_to_string(files::root().join(&path))?;
        if program.lines().count() > MOST_LINES {
            return Err(format!("{path} has more than {MOST_LINES} lines").into());
        }
        writeln!(page, "\n## {title}\n\n```sh\n{start}\n```\n\n`{file}`:\n\n```{language}\n{program}```")?;
    }
    files::write_or_check("docs/INTEGRATE.md", &page, check, "docs")
}
