// Files that views take: which ones, and where they are dropped.
export const ENDINGS = ".npz,.npy,.safetensors,.csv,.tsv,.txt,.json";

const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

// A file that misses the zone would take the place of the page: while the view is open, it can be dropped anywhere.
// `zone` shows that it may.
export function takeDrops(root, zone, takeFiles) {
  const isOpen = () => root.isConnected && root.offsetParent !== null;
  addEventListener("dragover", (event) => {
    if (!isFile(event) || !isOpen()) return;
    event.preventDefault();
    zone.toggleAttribute("data-over", true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.toggleAttribute("data-over", false);
  });
  addEventListener("drop", (event) => {
    zone.toggleAttribute("data-over", false);
    if (!isFile(event) || !isOpen()) return;
    event.preventDefault();
    takeFiles([...event.dataTransfer.files]);
  });
}
