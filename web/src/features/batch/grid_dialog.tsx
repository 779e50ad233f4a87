/** The runs of a grid beside each other, labelled with their values. */
import { type ReactNode, useMemo } from "react";
import type { RunMessage } from "../../api/wire";
import { useEditor, useServer, useShell } from "../../app/context";
import { gridOf } from "../../app/grid";
import { isPicture } from "../../app/pictures";
import { Dialog } from "../../ui/dialog";
import { t } from "../../ui/text";
import "../gallery/gallery.css";
import "./batch.css";

export default function GridDialog(): ReactNode {
  const { shell } = useEditor();
  const id = useShell((state) => state.grid);
  const runs = useServer((server) => server.runs);
  const cells = useMemo(() => {
    const found = new Map<string, RunMessage>();
    for (const run of runs) {
      const grid = gridOf(run);
      const place = grid?.id === id ? `${grid?.cell.x} ${grid?.cell.y}` : "";
      if (place && !found.has(place)) found.set(place, run);
    }
    return found;
  }, [runs, id]);
  const about = [...cells.values()].map(gridOf).find((one) => one !== null);
  if (!about) return null;
  const rows = about.ys.length ? about.ys : [""];
  return (
    <Dialog
      title={`${t("batch.grid")}: ${about.xTitle}${about.yTitle ? ` × ${about.yTitle}` : ""}`}
      size="wide"
      close={() => shell.setState({ grid: null })}
    >
      <table className="grid-table">
        <thead>
          <tr>
            {about.ys.length ? <td /> : null}
            {about.xs.map((one, column) => (
              <th key={column} scope="col">
                {one}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((name, row) => (
            <tr key={row}>
              {about.ys.length ? <th scope="row">{name}</th> : null}
              {about.xs.map((_, column) => (
                <td key={column}>
                  <CellPicture run={cells.get(`${column} ${row}`)} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}

function CellPicture({ run }: { run: RunMessage | undefined }): ReactNode {
  const { client, shell } = useEditor();
  const file = run?.files.find(isPicture);
  if (!run || !file) return <div className="waits">{run ? t(`status.${run.status}`) : t("batch.waits")}</div>;
  return (
    <button
      type="button"
      className="picture"
      aria-label={file.name}
      onClick={() => shell.setState({ viewer: { files: [file], at: 0, against: null } })}
    >
      <img src={client.thumbnailUrl(file.id, 320)} alt="" />
    </button>
  );
}
