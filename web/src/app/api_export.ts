/** The workflow in front as a program that runs it: a shell command, or Python with nothing but its standard library. */

type Json = Record<string, unknown>;

/** Runs it. The token is that of the data folder, in the environment, never in the text. */
export function asCurl(document: Json, server: string): string {
  const body = JSON.stringify({ document }, null, 2);
  return [
    `curl --fail-with-body -X POST '${server}/api/runs' \\`,
    `  -H "Authorization: Bearer $LATENTLOOM_TOKEN" \\`,
    `  -H 'Content-Type: application/json' \\`,
    // A here-document in quotes: nothing in it is taken by the shell.
    `  --data-binary @- <<'${mark(body)}'`,
    body,
    mark(body),
    "",
  ].join("\n");
}

/** A word that no line of the text is. */
function mark(body: string): string {
  const lines = new Set(body.split("\n"));
  let word = "JSON";
  while (lines.has(word)) word += "_";
  return word;
}

/** Runs it, waits, and saves what it made beside the program. */
export function asPython(document: Json, server: string): string {
  // JSON inside a raw text: ASCII only, and no quotes of the kind that would end it.
  const text = JSON.stringify({ document }, null, 2).replace(
    /[^\n\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const safe = text.replace(/'''/g, "\\u0027\\u0027\\u0027").replace(/'(?=\n|$)/g, "\\u0027");
  return `"""Runs a workflow of Latent Loom and saves what it makes. LATENTLOOM_TOKEN is what the data folder's \`token\` holds."""

import json
import os
import time
import urllib.request

SERVER = ${JSON.stringify(server)}
BODY = r'''${safe}'''


def ask(path, body=None):
    headers = {"Authorization": "Bearer " + os.environ["LATENTLOOM_TOKEN"], "Content-Type": "application/json"}
    data = body.encode() if body is not None else None
    return urllib.request.urlopen(urllib.request.Request(SERVER + path, data, headers))


run = json.load(ask("/api/runs", BODY))
while run["status"] in ("queued", "running", "crashed"):
    time.sleep(0.5)
    run = json.load(ask("/api/runs/" + run["id"]))
print(run["status"], *(one["what"] for one in run["problems"]))
for file in run["files"]:
    name = os.path.basename(file["name"])
    with open(name, "wb") as out:
        out.write(ask("/api/files/" + file["id"]).read())
    print(name)
`;
}
