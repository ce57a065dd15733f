// avow-klaro.js: records what is chosen with Klaro.

import { Choices, KlaroOptions } from './avow';
import { forget, relay, restore } from './choices';
import { conclude } from './conclude';
import { own } from './own';

/**
 * Services by their names, and purposes, each granted with all of its services; what cannot be refused is nothing to
 * agree to.
 */
function choicesOf({ config, consents }: any): Choices {
  const purposes: Choices = {}, services: Choices = {};
  config.services.forEach((service: any) => {
    if (service.required ?? config.required) return;
    const granted = (services[service.name] = consents[service.name] === true);
    (service.purposes || []).forEach((purpose: string) => (purposes[purpose] = granted && purposes[purpose] !== false));
  });
  return { ...purposes, ...services };
}

export function klaro(options: KlaroOptions = {}): void {
  const page: any = window;
  const manager = options.manager || page.klaro.getManager(page.klaroConfig);
  manager.watch({
    update(_: unknown, event: string, data: any) {
      if (event !== 'saveConsents') return;
      conclude(document.getElementById(manager.config.elementID || 'klaro'), choicesOf(manager), { choice: data.type }, options);
      relay(choicesOf(manager));
    },
  });
  (manager.confirmed ? restore : forget)(choicesOf(manager));
}

own().klaro = klaro;
