import { render } from "preact";
import { App } from "./app";
import { isPalette } from "./components/Palette";
import { whoAmI } from "./lib/api";
import { startKeys } from "./lib/keys";
import { start } from "./lib/live";
import { startPrefs } from "./lib/prefs";
import { startRouter } from "./lib/router";
import "./style.css";

startPrefs();
startRouter();
startKeys(() => {
  isPalette.value = !isPalette.peek();
});
// Who this is decides what is offered, not what is shown: nothing waits for it.
void whoAmI().catch(() => {});
start();

const root = document.getElementById("app");
if (root) render(<App />, root);
