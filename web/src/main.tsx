import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app";
import { EditorContext } from "./app/context";
import { createEditor, start } from "./app/editor";
import "./ui/theme.css";
import "./ui/base.css";

const editor = createEditor();
void start(editor);

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <EditorContext value={editor}>
      <App />
    </EditorContext>
  </StrictMode>,
);
