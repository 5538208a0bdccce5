// The ways by which pictures come to the page.

const byId = (id) => document.getElementById(id);

/** Call `add` with the files that are chosen, dropped or pasted; of folders those with one of the suffixes in `reads`. */
export function takeIn(add, reads) {
  byId("files").accept = ["image/*", ...reads].join();
  for (const id of ["choose", "add"]) byId(id).addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", () => {
    add(byId("files").files);
    byId("files").value = "";
  });
  document.addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (!files.length && event.target.closest?.("input")) return; // text, for a field
    event.preventDefault();
    add(files);
  });

  let over = 0; // how many elements deep a drag has come
  document.addEventListener("dragenter", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    over += 1;
    byId("veil").hidden = false;
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("dragleave", () => {
    over = Math.max(0, over - 1);
    byId("veil").hidden = over === 0;
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    over = 0;
    byId("veil").hidden = true;
    add(await dropped(event.dataTransfer, reads).catch(() => [])); // a folder that cannot be read
  });
}

/** Resolve with the files that were dropped, and those of what the service reads in folders that were. */
async function dropped(transfer, reads) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  if (!roots.some((root) => root?.isDirectory)) return transfer.files;
  const files = [];
  const visit = async (entry, inFolder) => {
    if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return;
        for (const one of some.sort((a, b) => a.name.localeCompare(b.name))) await visit(one, true);
      }
    } else if (!inFolder || (reads.some((suffix) => entry.name.toLowerCase().endsWith(suffix)) && entry.name[0] !== ".")) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    }
  };
  for (const root of roots) if (root) await visit(root, false);
  return files;
}
