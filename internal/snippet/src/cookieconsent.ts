// avow-cookieconsent.js: records what is chosen with vanilla-cookieconsent 3.

import { Choices, CookieConsentOptions } from './avow';
import { forget, relay, restore } from './choices';
import { conclude } from './conclude';
import { own } from './own';

/** Categories, and services as `category.service`; what cannot be refused is nothing to agree to. */
function choicesOf(cc: any): Choices {
  const choices: Choices = {};
  const categories = cc.getConfig('categories'); // none before the library runs
  for (const category in categories) {
    const { readOnly, services } = categories[category];
    if (readOnly) continue;
    choices[category] = cc.acceptedCategory(category);
    for (const service in services) choices[category + '.' + service] = cc.acceptedService(service, category);
  }
  return choices;
}

export function cookieconsent(options: CookieConsentOptions = {}): void {
  const cc = options.api || (window as any).CookieConsent;
  const record = () => {
    const { consentId: id, revision, languageCode: language } = cc.getCookie();
    const choices = choicesOf(cc);
    conclude(
      document.getElementById('cc-main'),
      choices,
      { choice: cc.getUserPreferences().acceptType, revision, language },
      { ...options, consent: { subject: { id }, ...options.consent } },
    );
    relay(choices);
  };
  const look = () => (cc.validConsent() ? restore : forget)(choicesOf(cc));

  // Chosen on this page, before this script was there.
  if (cc.validConsent() && Date.parse(cc.getCookie().lastConsentTimestamp) > performance.timeOrigin) record();
  look();
  addEventListener('cc:onFirstConsent', record);
  addEventListener('cc:onChange', record);
  addEventListener('cc:onConsent', look); // on each page
  addEventListener('cc:onModalShow', look);
}

own().cookieconsent = cookieconsent;
