import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import { render } from "preact";
import { App } from "./app";
import { takeKeyFromAddress } from "./session";

takeKeyFromAddress();
addEventListener("hashchange", takeKeyFromAddress);
const root = document.getElementById("app");
if (root) render(<App />, root);
