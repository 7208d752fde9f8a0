// Adds copy buttons, and puts the address that the browser uses in place of the one that the server knows.
"use strict";

const announcement = document.getElementById("announcement");

for (const element of document.querySelectorAll(".base-url")) {
  element.textContent = `${location.origin}/v1`;
}

for (const snippet of document.querySelectorAll(".snippet")) {
  const text = snippet.querySelector("pre");
  const button = document.createElement("button");
  const label = document.getElementById(text.getAttribute("aria-labelledby")).textContent;
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${label}`);
  button.addEventListener("click", async () => {
    const done = await copy(text);
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    announcement.textContent = done ? "Copied." : "Selected. Press Ctrl+C to copy.";
    setTimeout(() => {
      button.textContent = "Copy";
      announcement.textContent = "";
    }, 2000);
  });
  snippet.append(button);
}

// Without https only localhost has a clipboard; elsewhere the text is selected for the user to copy.
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}
