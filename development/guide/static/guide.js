// The policy of the service forbids that forms are sent; a search goes to the page of results by its address.
document.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = new FormData(event.target).get("q").trim();
  if (typed) {
    location.assign(`${event.target.action}?q=${encodeURIComponent(typed)}`);
  }
});

// Pages name the playground of a service on this machine; here they mean the one that shows the page.
const playground = document.querySelector('.guide-links a[href$="playground"]');
for (const link of document.querySelectorAll('a[href^="http://127.0.0.1:8000/playground#"]')) {
  link.href = playground.href + link.hash;
}
