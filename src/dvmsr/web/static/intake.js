// Pictures that are chosen, dropped or pasted.

export function takeIn(input, onFiles) {
  input.addEventListener("change", () => {
    onFiles([...input.files]);
    // So that the same file can be chosen again.
    input.value = "";
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) onFiles([...event.clipboardData.files]);
  });
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) document.body.classList.toggle("dropping", (depth += 1) > 0);
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) document.body.classList.toggle("dropping", (depth -= 1) > 0);
  });
  // Without it a browser opens the file in the page's place.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dropping");
    onFiles(await filesOf(event.dataTransfer));
  });
}

// The files, and those in folders that are dropped.
async function filesOf(transfer) {
  // Entries can only be asked for before anything is waited for.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  for (const entry of entries) await enter(entry, found);
  return found;
}

async function enter(entry, found) {
  if (entry.isFile) {
    if (!entry.name.startsWith("."))
      found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  // It hands out a hundred at a time, and none at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inside of some) await enter(inside, found);
  }
}
