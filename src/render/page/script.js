"use strict";
(function () {
  var entries = Array.prototype.slice.call(document.querySelectorAll("details.entry"));
  var tools = document.getElementById("tools");
  function reveal() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details.entry")) {
      target.hidden = false;
      target.open = true;
      target.querySelector("summary").focus({ preventScroll: true });
      target.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", reveal);
  reveal();
  if (!tools) { return; }
  var search = document.getElementById("search");
  var matches = document.getElementById("matches");
  var unfold = document.getElementById("unfold");
  var texts = entries.map(function (entry) {
    return entry.querySelector("summary").textContent.toLowerCase();
  });
  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var shown = 0;
    entries.forEach(function (entry, at) {
      var fits = words.every(function (word) { return texts[at].indexOf(word) >= 0; });
      entry.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    matches.textContent = words.length ? shown + " of " + entries.length : "";
  }
  search.addEventListener("input", filter);
  tools.addEventListener("submit", function (event) { event.preventDefault(); });
  unfold.addEventListener("click", function () {
    var open = unfold.textContent === "Open all";
    entries.forEach(function (entry) { if (!entry.hidden) { entry.open = open; } });
    unfold.textContent = open ? "Close all" : "Open all";
  });
  tools.hidden = false;
})();
