/** What widgets ask of the server. */
import type { Editor } from "../../app/editor";
import { isOn } from "../../app/packs/pack_host";
import type { WidgetServices } from "../../widgets";

/** The names of a kind of file; while no worker is up, they are waited for. */
function known(editor: Editor, kind: string, signal?: AbortSignal): Promise<readonly string[]> {
  const there = editor.server.getState().names[kind];
  if (there) return Promise.resolve(there);
  return new Promise((resolve, reject) => {
    const leave = editor.server.subscribe(({ names }) => {
      if (!names[kind]) return;
      leave();
      resolve(names[kind]);
    });
    signal?.addEventListener("abort", () => {
      leave();
      reject(signal.reason);
    });
  });
}

export function widgetServices(editor: Editor): WidgetServices {
  const inputs = new Map<string, string>(); // names of pictures brought in → their ids
  const learn = async () => {
    const { files } = await editor.client.inputs();
    for (const file of files) inputs.set(file.name, file.id);
  };
  void learn().catch(() => null);
  return {
    names: (kind, signal) => known(editor, kind, signal),
    upload: async (file) => {
      const made = await editor.client.upload(file, file.name);
      inputs.set(made.name, made.id);
      editor.server.setState(({ names }) => {
        const before = names.image ?? [];
        return { names: { ...names, image: before.includes(made.name) ? before : [...before, made.name] } };
      });
      return made.name;
    },
    thumbnail: (kind, name) => {
      const id = kind === "image" ? inputs.get(name) : undefined;
      return id ? editor.client.thumbnailUrl(id, 256) : "";
    },
    widgetModule: (name) => {
      for (const pack of editor.server.getState().packs) {
        if (!isOn(editor.settings, String(pack.name))) continue;
        const widgets = pack.widgets as Record<string, string> | undefined;
        const found = widgets?.[name];
        if (found) return found;
      }
      return "";
    },
    widgetOff: (name) => {
      const { packs } = editor.server.getState();
      const pack = packs.find(({ widgets }) => Object.hasOwn((widgets as object | undefined) ?? {}, name));
      return pack !== undefined && !isOn(editor.settings, String(pack.name));
    },
  };
}
