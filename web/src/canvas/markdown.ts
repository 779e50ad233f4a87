/** Markdown as clean HTML. A note may come from anybody's workflow: nothing in it may run, load or leave the page. */

import DOMPurify from "dompurify";
import { marked } from "marked";

const ALLOWED = {
  ALLOWED_TAGS:
    "h1 h2 h3 h4 h5 h6 p br hr ul ol li blockquote pre code strong em del a table thead tbody tr th td input".split(
      " ",
    ),
  ALLOWED_ATTR: ["href", "title", "align", "type", "checked", "disabled"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

const kept = new Map<string, string>();

export function markdown(text: string): string {
  let html = kept.get(text);
  if (html === undefined) {
    const made = marked.parse(text, { async: false, gfm: true, breaks: true });
    html = DOMPurify.sanitize(made, ALLOWED).replaceAll("<a ", '<a target="_blank" rel="noopener noreferrer" ');
    if (kept.size > 200) kept.clear();
    kept.set(text, html);
  }
  return html;
}
