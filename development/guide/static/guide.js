// The policy of the service forbids that forms are sent; a search goes to the page of results by its address.
document.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = new FormData(event.target).get("q").trim();
  if (typed) {
    location.assign(`${event.target.action}?q=${encodeURIComponent(typed)}`);
  }
});
