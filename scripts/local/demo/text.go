package demo

// text is everything the pages say in one language.
type text struct {
	Language, OtherLang, OtherLanguage string

	Title, Tagline, Lead string
	Points               []string

	FormTitle, FormLead         string
	FirstName, LastName, Email  string
	Choices, Required           string
	Newsletter, Profiling       string
	TermsBefore, TermsLink      string
	PrivacyBefore, PrivacyLink  string
	Send, Sending, Kept         string
	NoScript                    string
	NewTab, Back, Demonstration string

	BannerTitle, BannerText           string
	Audience, Advertising             string
	AcceptAll, RefuseAll, SaveChoices string
	Running, On, Off                  string
	AudienceShort, AdvertisingShort   string
	EndsWithReload, Reopen            string

	Welcome, Recorded, Yes, No     string
	NewsletterShort                string
	ProfilingShort, TermsShort     string
	RecordID, ReadIt, Again        string
	ErrorTitle, ErrorText, Blocked string

	Centre, CentreLead, ShowCentre string
}

var texts = map[string]text{
	"en": {
		Language: "English", OtherLang: "fr", OtherLanguage: "Français",
		Title:   "Tilleul & Grès",
		Tagline: "Herbal teas and stoneware, sent from the Drôme",
		Lead:    "Leaves picked by hand, bowls thrown one at a time.",
		Points: []string{
			"Your orders and invoices in one place",
			"First access to each season’s harvest",
			"Account closed whenever you say so",
		},
		FormTitle: "Create an account",
		FormLead:  "Three fields, and your own choices. Nothing is ticked for you.",
		FirstName: "First name", LastName: "Last name", Email: "E-mail address",
		Choices: "Your choices", Required: "required",
		Newsletter:  "Send me news and seasonal recipes by e-mail, about once a month.",
		Profiling:   "Learn my tastes from my orders and share them with your advertising partner, so that I see offers that fit.",
		TermsBefore: "I accept the", TermsLink: "terms of sale",
		PrivacyBefore: "What we do with your data is written in our", PrivacyLink: "privacy policy",
		Send: "Create my account", Sending: "Recording your choices…",
		Kept:     "We cannot be reached just now. Your choices are kept in this browser and will be sent by themselves: nothing more to do.",
		NoScript: "This demonstration records your choices with a script. Please allow JavaScript to try it.",
		NewTab:   "opens in a new tab", Back: "Back to the form",
		Demonstration: "A fictitious shop that comes with Avow, to try the consent ledger on your own machine.",
		BannerTitle:   "Your choice about cookies",
		BannerText:    "The shop works without them. Anything more is up to you, as explained in our",
		Audience:      "Count my visits, by yourselves alone, to see which pages are read.",
		Advertising:   "Let your advertising partner see what I look at, to show me your offers elsewhere.",
		AcceptAll:     "Accept all", RefuseAll: "Refuse all", SaveChoices: "Save my choices",
		Running: "What runs on this page", On: "running", Off: "off",
		AudienceShort: "Counting of visits:", AdvertisingShort: "Advertising partner:",
		EndsWithReload: "It ends when the page is reloaded.", Reopen: "Change my choice about cookies",
		Welcome: "Welcome", Recorded: "Your choices are on record, with the exact form and notices you saw.",
		Yes: "Yes", No: "No",
		NewsletterShort: "Newsletter", ProfilingShort: "Tailored offers", TermsShort: "Terms of sale",
		RecordID:   "Record",
		ReadIt:     "The page could only write this record. Reading it takes the site’s private key:",
		Again:      "Fill in the form again",
		ErrorTitle: "Your choices could not be recorded",
		ErrorText:  "What you entered is still in the form. Please try again in a moment.",
		Blocked:    "The script that records consents did not answer; a content blocker may be holding it back.",
		Centre:     "Your preferences", ShowCentre: "See or change my choices",
		CentreLead: "What you have said yes or no to. You can change your mind at any time, and it changes nothing about your account.",
	},
	"fr": {
		Language: "Français", OtherLang: "en", OtherLanguage: "English",
		Title:   "Tilleul & Grès",
		Tagline: "Tisanes et grès, expédiés de la Drôme",
		Lead:    "Des feuilles cueillies à la main, des bols tournés un par un.",
		Points: []string{
			"Vos commandes et factures au même endroit",
			"Chaque récolte en avant-première",
			"Compte fermé dès que vous le demandez",
		},
		FormTitle: "Créer un compte",
		FormLead:  "Trois champs, et vos propres choix. Rien n’est coché à votre place.",
		FirstName: "Prénom", LastName: "Nom", Email: "Adresse e-mail",
		Choices: "Vos choix", Required: "obligatoire",
		Newsletter:  "Envoyez-moi par e-mail, environ une fois par mois, des nouvelles et des recettes de saison.",
		Profiling:   "Déduisez mes goûts de mes commandes et partagez-les avec votre partenaire publicitaire, pour me montrer des offres adaptées.",
		TermsBefore: "J’accepte les", TermsLink: "conditions de vente",
		PrivacyBefore: "Ce que nous faisons de vos données est écrit dans notre", PrivacyLink: "politique de confidentialité",
		Send: "Créer mon compte", Sending: "Enregistrement de vos choix…",
		Kept:     "Nous sommes injoignables pour l’instant. Vos choix sont gardés dans ce navigateur et partiront d’eux-mêmes : vous n’avez rien d’autre à faire.",
		NoScript: "Cette démonstration enregistre vos choix à l’aide d’un script. Autorisez JavaScript pour l’essayer.",
		NewTab:   "s’ouvre dans un nouvel onglet", Back: "Retour au formulaire",
		Demonstration: "Une boutique fictive livrée avec Avow, pour essayer le registre des consentements sur votre machine.",
		BannerTitle:   "Votre choix sur les cookies",
		BannerText:    "La boutique fonctionne sans. Le reste ne tient qu’à vous, comme l’explique notre",
		Audience:      "Comptez mes visites, par vos propres moyens seulement, pour voir quelles pages sont lues.",
		Advertising:   "Laissez votre partenaire publicitaire voir ce que je regarde, pour me montrer vos offres ailleurs.",
		AcceptAll:     "Tout accepter", RefuseAll: "Tout refuser", SaveChoices: "Enregistrer mes choix",
		Running: "Ce qui fonctionne sur cette page", On: "en marche", Off: "à l’arrêt",
		AudienceShort: "Mesure d’audience :", AdvertisingShort: "Partenaire publicitaire :",
		EndsWithReload: "Il s’arrête quand la page est rechargée.", Reopen: "Modifier mon choix sur les cookies",
		Welcome: "Bienvenue", Recorded: "Vos choix sont enregistrés, avec le formulaire et les textes exacts que vous avez vus.",
		Yes: "Oui", No: "Non",
		NewsletterShort: "Lettre d’information", ProfilingShort: "Offres adaptées", TermsShort: "Conditions de vente",
		RecordID:   "Enregistrement",
		ReadIt:     "La page n’a pu qu’écrire cet enregistrement. Le lire demande la clé privée du site :",
		Again:      "Remplir à nouveau le formulaire",
		ErrorTitle: "Vos choix n’ont pas pu être enregistrés",
		ErrorText:  "Ce que vous avez saisi est encore dans le formulaire. Réessayez dans un instant.",
		Blocked:    "Le script qui enregistre les consentements n’a pas répondu ; un bloqueur de contenu le retient peut-être.",
		Centre:     "Vos préférences", ShowCentre: "Voir ou modifier mes choix",
		CentreLead: "Ce à quoi vous avez dit oui ou non. Vous pouvez changer d’avis à tout moment, sans conséquence pour votre compte.",
	},
}
