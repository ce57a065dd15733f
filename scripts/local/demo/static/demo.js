// The shop's own script: tells avow.js which form to watch, and shows how it went.
var _iub = _iub || {};
_iub.cons_instructions = _iub.cons_instructions || [];

(function () {
  "use strict";
  var config = document.currentScript.dataset;
  var byId = function (id) { return document.getElementById(id); };
  var form = byId("signup");
  var send = byId("send");
  var progress = byId("progress");
  var problem = byId("problem");
  var patience;

  var consent = {
    form: {
      selector: form,
      map: {
        subject: { first_name: "first_name", last_name: "last_name", email: "email" },
        preferences: { newsletter: "newsletter", profiling: "profiling", terms: "terms" }
      }
    },
    consent: { legal_notices: [{ identifier: "privacy_policy" }, { identifier: "terms" }] }
  };
  var callbacks = { success: confirm, error: explain };

  _iub.cons_instructions.push(["init", { api_key: config.publicKey, log_level: "error", autodetect_ip_address: true }]);
  _iub.cons_instructions.push(["load", Object.assign({ submitElement: send }, consent), callbacks]);

  // A shop would let the form go to its server; this one stays on the page to show the record.
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    problem.textContent = "";
    progress.textContent = config.sending;
    send.disabled = true;
    // Sent before avow.js was there: the queue keeps the instruction until it is.
    if (!_iub.cons) _iub.cons_instructions.push(["submit", consent, callbacks]);
    clearTimeout(patience);
    patience = setTimeout(function () {
      if (!_iub.cons) explain({ message: config.blocked });
    }, 8000);
  });

  function confirm(reply) {
    clearTimeout(patience);
    byId("welcome").textContent = config.welcome + ", " + form.elements.first_name.value;
    document.querySelectorAll("[data-choice]").forEach(function (cell) {
      var given = form.elements[cell.dataset.choice].checked;
      cell.textContent = given ? config.yes : config.no;
      cell.className = given ? "yes" : "no";
    });
    byId("record-id").textContent = reply.id;
    byId("subject-id").value = reply.subject_id;
    byId("read").textContent = 'curl -H "ApiKey: $PRIVATE_KEY" \\\n' + config.api + "/consent/" + reply.id;
    byId("entry").hidden = true;
    byId("done").hidden = false;
    byId("welcome").focus();
  }

  function explain(answer) {
    clearTimeout(patience);
    // It is kept, and sent as soon as that can be: sent again by the person it would be a second record.
    // Said at once it is said before this page's own listener runs.
    if (answer.queued) {
      setTimeout(function () { progress.textContent = config.kept; });
      return;
    }
    progress.textContent = "";
    send.disabled = false;
    var text = byId("problem-text").content.cloneNode(true);
    text.querySelector("small").textContent = (answer.status ? answer.status + " – " : "") + answer.message;
    problem.textContent = "";
    problem.appendChild(text);
    send.focus();
  }
})();
