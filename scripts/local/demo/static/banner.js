// The shop's own banner, and what waits for its answer. A real shop would load its counter and its partner's script
// where this one only says that it would.
(function () {
  "use strict";
  var config = document.currentScript.dataset;
  var byId = function (id) { return document.getElementById(id); };
  var section = byId("banner");
  var boxes = Array.from(section.querySelectorAll("input"));

  var banner = avow.banner({
    element: section,
    categories: boxes.map(function (box) { return box.name; }),
    consent: { legal_notices: [{ identifier: "privacy_policy" }] }
  });

  function ends(id, act) {
    byId(id).addEventListener("click", function () {
      act();
      section.hidden = true;
      byId("reopen").focus();
    });
  }
  ends("accept", banner.accept);
  ends("refuse", banner.refuse);
  ends("choose", function () {
    banner.choose(Object.fromEntries(boxes.map(function (box) { return [box.name, box.checked]; })));
  });

  // Taking a consent back is as easy as giving it.
  byId("reopen").addEventListener("click", function () {
    var chosen = banner.chosen() || {};
    boxes.forEach(function (box) { box.checked = !!chosen[box.name]; });
    section.hidden = false;
    byId("banner-title").focus();
  });
  section.hidden = !!banner.chosen();

  function say(what, isOn) {
    var cell = document.querySelector("[data-state=" + what + "]");
    cell.textContent = isOn ? config.runs : config.rests;
    cell.className = isOn ? "yes" : "no";
  }
  // Our own counter can be stopped.
  avow.gate("audience", function () {
    say("audience", true);
    return function () { say("audience", false); };
  });
  // The partner's script cannot: it ends with the page.
  avow.gate("advertising", function () {
    byId("ending").hidden = true;
    say("advertising", true);
  }, { sale_or_sharing: true });
  addEventListener("avow:reload", function () { byId("ending").hidden = false; });
})();
