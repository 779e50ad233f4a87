/** All finished pictures, newest first. */
import { type ReactNode, useState } from "react";
import type { FileMessage } from "../../api/wire";
import { useEditor, useServer } from "../../app/context";
import { attempt } from "../../app/editor";
import { isPicture } from "../../app/pictures";
import { Button } from "../../ui/button";
import { size, t } from "../../ui/text";
import { Side } from "../side";
import "./gallery.css";

export default function Gallery(): ReactNode {
  const editor = useEditor();
  const newest = useServer((server) => server.outputs);
  const [older, setOlder] = useState<readonly FileMessage[]>([]);
  const [end, setEnd] = useState(false);
  const known = new Set(newest.map(({ id }) => id));
  const files = [...newest, ...older.filter(({ id }) => !known.has(id))];
  const pictures = files.filter(isPicture);
  const others = files.filter((one) => !isPicture(one));
  const more = () =>
    attempt(editor, async () => {
      const page = await editor.client.outputs(files.at(-1)?.created ?? 0);
      setEnd(page.files.length === 0);
      setOlder([...older, ...page.files]);
    });
  return (
    <Side side="left" title={t("gallery.title")} className="gallery">
      <div className="scroll">
        {files.length ? null : <p className="empty">{t("gallery.none")}</p>}
        <div className="pictures">
          {pictures.map((one, at) => (
            <button
              key={one.id}
              type="button"
              className="picture"
              aria-label={one.name}
              title={one.name}
              onClick={() => editor.shell.setState({ viewer: { files: pictures, at, against: null } })}
            >
              <img src={editor.client.thumbnailUrl(one.id)} alt="" loading="lazy" draggable={false} />
            </button>
          ))}
        </div>
        {others.length ? (
          <div className="files">
            <h3>{t("gallery.other")}</h3>
            <ul>
              {others.map((one) => (
                <li key={one.id} className="row">
                  <a className="cut spring" href={editor.client.fileUrl(one.id)} download={one.name}>
                    {one.name}
                  </a>
                  <span className="quiet number">{size(one.bytes)}</span>
                </li>
              ))}
            </ul>
          </div>
        ) : null}
        {newest.length >= 100 && !end ? <Button onClick={() => void more()}>{t("gallery.more")}</Button> : null}
      </div>
    </Side>
  );
}
