// The shop's own script: whose preferences are shown, and with which token of its back end.
(function () {
  "use strict";
  var config = document.currentScript.dataset;
  avow.preferences("centre", {
    api_key: config.publicKey,
    endpoint: config.api,
    subject_id: config.subjectId,
    subject_token: config.subjectToken,
    legal_notices: [{ identifier: "privacy_policy" }]
  });
})();
