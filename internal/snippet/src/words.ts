// What the preference centre says, in the languages that it speaks itself. The page that a mailed link leads to
// (internal/page) says the same of a preference.

import { PreferenceTexts } from './avow';

const english: PreferenceTexts = {
  legend: 'Your choices',
  loading: 'Loading your choices…',
  save: 'Save',
  refuse: 'Refuse everything',
  unsaved: 'Not saved yet.',
  saving: 'Saving…',
  saved: 'Your choices are saved: yes to {yes}, no to {no}.',
  waiting: 'Your choices are saved, but a yes is not in effect yet: the line below it says why.',
  unchanged: 'You have not changed anything, so there is nothing to save.',
  none: 'There is nothing to choose here.',
  recorded: 'Recorded on',
  until: 'valid until',
  again: 'Try again',

  granted: 'You said yes.',
  refused: 'You said no.',
  withdrawn: 'You withdrew your yes.',
  objected: 'You objected.',
  never_asked: 'Off: you have said nothing about it.',
  presumed: 'On, because we have a legitimate interest. You may object: switch it off.',
  expired: 'Off: your yes has run out.',
  pending: 'Off: you said yes, and have not confirmed it yet by the link that we sent you.',
  lapsed: 'Off: you said yes, and did not confirm it in time.',
  unconfirmed: 'Off: a yes was sent to us, and nobody knows whether it was yours.',
  restricted: 'Off: you have had the use of your data restricted. Until that ends, we use it for nothing, whatever you choose here.',
  not_boolean: 'Off: what was said about it is no yes.',
  too_many_events: 'Off.',
  contract: 'Always on: we need it for our contract with you.',
  legal_obligation: 'Always on: the law obliges us.',
  vital_interests: 'Always on: it protects somebody’s life or health.',
  public_task: 'On, because it is a task in the public interest. You may object: switch it off.',

  link_legend: 'See your choices by e-mail',
  link_intro: 'We send you a link to your choices. It works once.',
  email: 'E-mail address',
  email_wrong: 'Enter an e-mail address such as name@example.com.',
  send: 'Send me the link',
  sending: 'Sending…',
  sent: 'If we know this address, a link is on its way to it. That may take a few minutes; please look among unwanted mail too.',

  offline: 'We could not be reached. Check your connection, then try again.',
  down: 'The service does not answer properly just now. Try again in a few minutes.',
  busy: 'There were too many attempts. Wait for up to an hour, then try again.',
  changed: 'What you are asked has changed in the meantime, so nothing was saved. Please choose again.',
  lapsed_session: 'To keep your choices safe, this page shows them for a limited time. Reload it, or have a link sent to you.',
  broken: 'Your choices cannot be shown or changed here, because of a fault of this site. Please write to us.',
};

const french: PreferenceTexts = {
  legend: 'Vos choix',
  loading: 'Chargement de vos choix…',
  save: 'Enregistrer',
  refuse: 'Tout refuser',
  unsaved: 'Pas encore enregistré.',
  saving: 'Enregistrement…',
  saved: 'Vos choix sont enregistrés : oui pour {yes}, non pour {no}.',
  waiting: 'Vos choix sont enregistrés, mais un oui n’a pas encore d’effet : la ligne qui le suit dit pourquoi.',
  unchanged: 'Vous n’avez rien modifié : il n’y a rien à enregistrer.',
  none: 'Il n’y a rien à choisir ici.',
  recorded: 'Enregistré le',
  until: 'valable jusqu’au',
  again: 'Réessayer',

  granted: 'Vous avez dit oui.',
  refused: 'Vous avez dit non.',
  withdrawn: 'Vous avez retiré votre oui.',
  objected: 'Vous avez fait opposition.',
  never_asked: 'Désactivé : vous n’en avez rien dit.',
  presumed: 'Activé, car nous y avons un intérêt légitime. Vous pouvez vous y opposer : désactivez-le.',
  expired: 'Désactivé : votre oui n’est plus valable.',
  pending: 'Désactivé : vous avez dit oui, mais ne l’avez pas encore confirmé par le lien que nous vous avons envoyé.',
  lapsed: 'Désactivé : vous avez dit oui, mais ne l’avez pas confirmé à temps.',
  unconfirmed: 'Désactivé : un oui nous est parvenu, mais rien ne dit qu’il vient de vous.',
  restricted: 'Désactivé : vous avez fait limiter l’utilisation de vos données. Tant que cela dure, elles ne servent à rien, quoi que vous choisissiez ici.',
  not_boolean: 'Désactivé : ce qui en a été dit n’est pas un oui.',
  too_many_events: 'Désactivé.',
  contract: 'Toujours activé : c’est nécessaire à notre contrat avec vous.',
  legal_obligation: 'Toujours activé : la loi nous y oblige.',
  vital_interests: 'Toujours activé : il y va de la vie ou de la santé de quelqu’un.',
  public_task: 'Activé, car c’est une mission d’intérêt public. Vous pouvez vous y opposer : désactivez-le.',

  link_legend: 'Voir vos choix par e-mail',
  link_intro: 'Nous vous envoyons un lien vers vos choix. Il ne sert qu’une fois.',
  email: 'Adresse e-mail',
  email_wrong: 'Saisissez une adresse e-mail comme nom@exemple.fr.',
  send: 'M’envoyer le lien',
  sending: 'Envoi…',
  sent: 'Si nous connaissons cette adresse, un lien est en route. Cela peut prendre quelques minutes ; regardez aussi parmi les indésirables.',

  offline: 'Nous sommes injoignables. Vérifiez votre connexion, puis réessayez.',
  down: 'Le service ne répond pas correctement pour le moment. Réessayez dans quelques minutes.',
  busy: 'Il y a eu trop de tentatives. Attendez jusqu’à une heure, puis réessayez.',
  changed: 'Ce qui vous est demandé a changé entre-temps : rien n’a été enregistré. Choisissez à nouveau.',
  lapsed_session: 'Pour protéger vos choix, cette page ne les montre que pendant un temps limité. Rechargez-la, ou faites-vous envoyer un lien.',
  broken: 'Vos choix ne peuvent être ni montrés ni modifiés ici, à cause d’un défaut de ce site. Écrivez-nous.',
};

/** The language of the texts for a tag (BCP 47): French, or English for all others. */
export const spoken = (tag: string): 'fr' | 'en' => (/^fr\b/i.test(tag) ? 'fr' : 'en');

export const wordsOf = (tag: string, own?: Partial<PreferenceTexts>): PreferenceTexts =>
  ({ ...(spoken(tag) === 'fr' ? french : english), ...own });
