// Types of avow.js: for sites that are written in TypeScript, and for the script itself.

/** Whatever a page may use to name an element: itself, a jQuery-like list, an id, or a CSS selector. */
export type Target = Element | ArrayLike<Element> | string | null | undefined;

/** A field, or a group of fields, by its `name`, else by its `id`. */
export type FieldName = string;

export interface FieldMap {
  /** Field of the subject → field of the form. `data-cons-subject` on a field says the same. */
  subject?: Record<string, FieldName>;
  /** Preference → field of the form. `data-cons-preference` on a field says the same. */
  preferences?: Record<string, FieldName>;
  /** Left out of the stored proof, as is a field with `data-cons-exclude`. Passwords, files, card fields, one-time codes and captcha tokens are left out anyway. */
  exclude?: FieldName[];
  /** When given, the proof keeps only these fields and the mapped ones. */
  include?: FieldName[];
}

export interface Proof {
  content?: string;
  form?: string;
}

/** The JSON that `POST /public/consent` takes; the page may add any field of it. */
export interface Body {
  /** RFC 3339; default: now. */
  timestamp?: string;
  subject?: Record<string, unknown>;
  preferences?: Record<string, unknown>;
  legal_notices?: { identifier: string; version?: number | string }[];
  proofs?: Proof[];
  act?: 'web_form' | 'banner' | 'signal';
  gpc?: boolean;
  /** The grants wait until the person confirms them by a message. */
  double_opt_in?: { channel: 'email' | 'whatsapp'; language?: string };
  autodetect_ip_address?: boolean;
  [field: string]: unknown;
}

export interface Args {
  /** The form as it stands on the page, or where to find it and what its fields mean. */
  form?: Target | { selector?: Target; map?: FieldMap };
  /** What the page states by itself: merged over what the form says. */
  consent?: Body;
  /** For `load`: a click on it, or its form's submit, is the act. Without one the page calls sendData(). */
  submitElement?: Target;
  /** For `submit`: keep it until sendFromLocalStorage() or the next page instead of sending it now. */
  writeOnLocalStorage?: boolean;
}

/** The API's answer. */
export interface Reply {
  id: string;
  timestamp: string;
  subject_id: string;
}

export interface Problem {
  /** HTTP status; 0 when there was no answer. */
  status: number;
  message: string;
  /** True while the consent is kept and will be sent again: `success` may still follow. */
  queued?: boolean;
  errors?: { field: string; message: string }[];
  [field: string]: unknown;
}

export interface Callbacks {
  success?: (reply: Reply) => void;
  error?: (problem: Problem) => void;
}

export interface Chain {
  success(callback: (reply: Reply) => void): Chain;
  error(callback: (problem: Problem) => void): Chain;
}

export interface Options {
  /** The site's public key. */
  api_key: string;
  /** The API's address; default: `data-endpoint` of the script tag, else where the script came from. */
  endpoint?: string;
  logger?: 'none' | 'console';
  log_level?: 'none' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** False: what `writeOnLocalStorage` put aside waits for sendFromLocalStorage(). Default: true. */
  sendFromLocalStorageAtLoad?: boolean;
  /** True: the server keeps the address that the consent came from. Default: false. */
  autodetect_ip_address?: boolean;
  /** Record the page's address, without query and fragment, or its title, beside the proof. Default: false. */
  page_url?: boolean;
  page_title?: boolean;
  /** What becomes of a ticked box that was pre-ticked or never visible, and of a hidden field as a preference: recorded as it is, or left out of the preferences. Default: record. */
  doubtful?: 'record' | 'omit';
}

/** What each preference is set to: true for a yes. */
export type Choices = Record<string, boolean>;

/** What runs when its preference is granted: a function, or the address of a script. What the function returns ends it again. */
export type Gated = string | (() => void | (() => void));

export interface GateOptions {
  /** Called when the preference is withdrawn on this page or in another tab. */
  withdrawn?: () => void;
  /** The preference is about sale or sharing: Global Privacy Control is a no to it, whatever was chosen. */
  sale_or_sharing?: boolean;
}

/** What a record of a banner has beside the choices. */
export interface BannerConsent {
  /** For instance `legal_notices`, or the `subject` where the site knows who it is. */
  consent?: Body;
  callbacks?: Callbacks;
}

export interface BannerOptions extends BannerConsent {
  /** The banner as it is shown: the proof. */
  element: Target;
  /** The preferences it asks about. What is strictly necessary is nothing to agree to: leave it out. */
  categories: string[];
}

export interface Banner {
  accept(): void;
  refuse(): void;
  /** What is not true is refused. A box of the banner whose name is a category's is looked at for doubts. */
  choose(choices: Choices): void;
  /** What was chosen; undefined: ask. That is at first, when a category is new, and half a year after the choice. */
  chosen(): Choices | undefined;
}

export interface CookieConsentOptions extends BannerConsent {
  /** The library; default: `window.CookieConsent`. */
  api?: unknown;
}

export interface KlaroOptions extends BannerConsent {
  /** Klaro's manager; default: `klaro.getManager()`. */
  manager?: unknown;
}

/** One preference as the API shows it to the person. */
export interface Preference {
  key: string;
  /** What it is asked for, in the language of the request. */
  purpose: string;
  /** Such as `consent`, `legitimate_interest`, `contract`. */
  legal_basis: string;
  channel: string | null;
  granted: boolean;
  /** Why it is granted or not: `granted`, `refused`, `withdrawn`, `never_asked`, … */
  reason: string;
  /** RFC 3339. */
  since: string | null;
  expires_at: string | null;
  /** False for what does not rest on a choice. */
  changeable: boolean;
}

/** Every text that the preference centre says by itself. */
export type PreferenceTexts = Record<
  // what is on the page
  | 'legend' | 'save' | 'refuse' | 'again' | 'none' | 'recorded' | 'until'
  | 'link_legend' | 'link_intro' | 'email' | 'email_wrong' | 'send'
  // what is announced; `saved` has the numbers {yes} and {no} in it
  | 'loading' | 'unsaved' | 'saving' | 'saved' | 'waiting' | 'unchanged' | 'sending' | 'sent'
  | 'offline' | 'down' | 'busy' | 'changed' | 'lapsed_session' | 'broken'
  // what stands below a preference, by its `reason`; for what is always on, and for a public task, by its `legal_basis`
  | 'granted' | 'refused' | 'withdrawn' | 'objected' | 'never_asked' | 'presumed' | 'expired' | 'pending' | 'lapsed'
  | 'unconfirmed' | 'restricted' | 'not_boolean' | 'too_many_events'
  | 'contract' | 'legal_obligation' | 'vital_interests' | 'public_task',
  string
>;

export interface PreferenceOptions {
  /** The site's public key. */
  api_key: string;
  /** The API's address; default: `data-endpoint` of the script tag, else where the script came from. */
  endpoint?: string;
  /** Whose preferences they are, and the token with which the site's back end vouches for it. Without a token the person can ask for a link by e-mail. */
  subject_id?: string;
  subject_token?: string;
  /** BCP 47; default: the `lang` that the element is in. */
  language?: string;
  /** In place of the texts in French and in English. */
  texts?: Partial<PreferenceTexts>;
  /** The notices that stand beside the preferences: kept with what the person says. */
  legal_notices?: { identifier: string; version?: string }[];
  /** Called after each save with what holds now of what was saved. */
  change?: (preferences: Choices) => void;
}

export interface Avow {
  init(options: Options, ready?: () => void): Chain;
  load(args: Args, callbacks?: Callbacks): void;
  submit(args: Args, callbacks?: Callbacks): Chain;
  sendData(): void;
  sendFromLocalStorage(): void;
  cons_instructions: { push(...entries: unknown[]): number };
  /** With avow-gate.js. */
  gate(preference: string, load: Gated, options?: GateOptions): void;
  /** With avow-banner.js. */
  banner(options: BannerOptions): Banner;
  /** With avow-cookieconsent.js. */
  cookieconsent(options?: CookieConsentOptions): void;
  /** With avow-klaro.js. */
  klaro(options?: KlaroOptions): void;
  /** With avow-preferences.js. */
  preferences(target: Target, options: PreferenceOptions): void;
}

declare global {
  interface Window {
    avow: Avow;
  }
}

declare const avow: Avow;
export default avow;
