// Every page works without this script.

// A page that shows a secret is not to come back from the browser's memory.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Buttons that copy, which are hidden until here.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = document.getElementById(button.dataset.said);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser did not allow it; select the text and copy it.";
    }
  });
}

// Errors of a form are read out first.
document.getElementById("errors")?.focus();
