package page

// Text is what stands on a page in one language.
type Text struct {
	Title  string
	Lines  []string
	Button string // "" for none
	Action string // what the button asks for
	After  string
}

// The actions of the buttons.
const (
	ActConfirm  = "confirm"
	ActDownload = "download"
	ActResend   = "resend"
)

type words struct {
	write string
	types map[string]string // what is asked for, by type of request
	pages map[Kind]Text
	// objection stands in place of Confirm where an objection is confirmed: it has
	// counted since it was received.
	objection Text
	centre    centre
}

var texts = map[string]words{"en": english, "fr": french}

var english = words{
	centre: englishCentre,
	objection: Text{
		Title:  "Is this your request?",
		Lines:  []string{"Your objection counts in our record of consents already: a refusal needs no proof. Press the button, and we carry it to our other systems."},
		Button: "Yes, this is my request", Action: ActConfirm,
		After: "You did not ask for this? Then close this page: the request goes no further. To have us go on as before, write to us or give your consent again.",
	},
	write: "Questions? Write to",
	types: map[string]string{
		"access":        "You ask for a copy of your personal data.",
		"portability":   "You ask for your personal data in a form that other services can read.",
		"rectification": "You ask that your personal data be corrected.",
		"erasure":       "You ask that your personal data be deleted.",
		"restriction":   "You ask that your personal data be kept but not used.",
		"objection":     "You object to the use of your personal data.",
	},
	pages: map[Kind]Text{
		Confirm: {
			Title:  "Is this your request?",
			Lines:  []string{"We need to know that the request comes from you before we act on it. Nothing happens until you press the button."},
			Button: "Yes, this is my request", Action: ActConfirm,
			After: "You did not ask for this? Then close this page: the request goes no further.",
		},
		Confirmed: {
			Title: "Thank you",
			Lines: []string{"Your request is confirmed. We are working on it and will write to you.", "You can close this page."},
		},
		Download: {
			Title:  "Your data is ready",
			Lines:  []string{"The button downloads one file (ZIP). Open index.html in it to read everything in order.", "The file holds personal data: keep it where only you can read it."},
			Button: "Download", Action: ActDownload,
		},
		Unusable: {
			Title:  "This link cannot be used",
			Lines:  []string{"It may be incomplete, used already, or too old.", "If your request still waits for you, we can send a new link to the address that you gave us."},
			Button: "Send a new link", Action: ActResend,
		},
		Resent: {
			Title: "Please look at your mail",
			Lines: []string{"If your request still waits for you, a new link is on its way to the address that you gave us. It may take a few minutes.", "You can close this page."},
		},
		TooMany: {
			Title: "Too many attempts",
			Lines: []string{"There were too many attempts from your network. Please try again in an hour."},
		},
		ConfirmConsent: {
			Title:  "Do you agree?",
			Lines:  []string{"Somebody gave us your e-mail address and agreed to what stands below. Until you press the button, we treat that as a no."},
			Button: "Yes, I agree", Action: ActConfirm,
			After: "It was not you, or you have changed your mind? Then close this page: nothing happens. You can withdraw your consent at any time.",
		},
		ConsentConfirmed: {
			Title: "Thank you",
			Lines: []string{"You have agreed to what stands below. You can withdraw your consent at any time.", "You can close this page."},
		},
		ConsentLapsed: {
			Title: "This link is too old",
			Lines: []string{"The time to confirm is over, and nothing has been agreed to. If you still want to agree, fill in the form again."},
		},
		ConsentWithdrawn: {
			Title: "You have said no",
			Lines: []string{"You have refused or withdrawn this consent since the message was written, and that holds. If you want to agree after all, fill in the form again."},
		},
		PreferencesLink: {
			Title:  "Your preferences",
			Lines:  []string{"Here you see what you have agreed to and what you have not, and can change it.", "The link in your mail works once. This page changes nothing until you choose something."},
			Button: "See my preferences", Action: ActOpen,
		},
		Preferences: {
			Title: "Your preferences",
			Lines: []string{"You can change each answer at any time. What you switch off ends now; what was done before stays lawful."},
			After: "This page works for half an hour. After that, ask for a new link.",
		},
		PreferencesUnusable: {
			Title:  "This link cannot be used",
			Lines:  []string{"It may be incomplete, used already, or too old. A link works once, and its page for half an hour.", "We can send a new link to the same address."},
			Button: "Send a new link", Action: ActResend,
		},
		PreferencesResent: {
			Title: "Please look at your mail",
			Lines: []string{"If we know the address, a new link is on its way to it. It may take a few minutes.", "You can close this page."},
		},
	},
}

var french = words{
	centre: frenchCentre,
	objection: Text{
		Title:  "Cette demande vient-elle de vous ?",
		Lines:  []string{"Votre opposition compte déjà dans notre registre des consentements : un refus n’a pas besoin de preuve. Appuyez sur le bouton pour que nous la transmettions à nos autres systèmes."},
		Button: "Oui, c’est ma demande", Action: ActConfirm,
		After: "Vous n’avez rien demandé ? Fermez cette page : la demande n’ira pas plus loin. Pour que nous continuions comme avant, écrivez-nous ou donnez à nouveau votre consentement.",
	},
	write: "Une question ? Écrivez à",
	types: map[string]string{
		"access":        "Vous demandez une copie de vos données personnelles.",
		"portability":   "Vous demandez vos données personnelles dans un format que d’autres services savent lire.",
		"rectification": "Vous demandez la correction de vos données personnelles.",
		"erasure":       "Vous demandez l’effacement de vos données personnelles.",
		"restriction":   "Vous demandez que vos données personnelles soient conservées mais plus utilisées.",
		"objection":     "Vous vous opposez à l’utilisation de vos données personnelles.",
	},
	pages: map[Kind]Text{
		Confirm: {
			Title:  "Cette demande vient-elle de vous ?",
			Lines:  []string{"Avant d’agir, nous devons savoir que la demande vient bien de vous. Rien ne se passe tant que vous n’appuyez pas sur le bouton."},
			Button: "Oui, c’est ma demande", Action: ActConfirm,
			After: "Vous n’avez rien demandé ? Fermez cette page : la demande n’ira pas plus loin.",
		},
		Confirmed: {
			Title: "Merci",
			Lines: []string{"Votre demande est confirmée. Nous la traitons et nous vous écrirons.", "Vous pouvez fermer cette page."},
		},
		Download: {
			Title:  "Vos données sont prêtes",
			Lines:  []string{"Le bouton télécharge un seul fichier (ZIP). Ouvrez-y index.html pour tout lire dans l’ordre.", "Ce fichier contient des données personnelles : gardez-le là où vous seul pouvez le lire."},
			Button: "Télécharger", Action: ActDownload,
		},
		Unusable: {
			Title:  "Ce lien ne peut pas être utilisé",
			Lines:  []string{"Il est peut-être incomplet, déjà utilisé ou trop ancien.", "Si votre demande vous attend encore, nous pouvons envoyer un nouveau lien à l’adresse que vous nous avez donnée."},
			Button: "Envoyer un nouveau lien", Action: ActResend,
		},
		Resent: {
			Title: "Consultez votre messagerie",
			Lines: []string{"Si votre demande vous attend encore, un nouveau lien part vers l’adresse que vous nous avez donnée. Cela peut prendre quelques minutes.", "Vous pouvez fermer cette page."},
		},
		TooMany: {
			Title: "Trop de tentatives",
			Lines: []string{"Il y a eu trop de tentatives depuis votre réseau. Réessayez dans une heure."},
		},
		ConfirmConsent: {
			Title:  "Êtes-vous d’accord ?",
			Lines:  []string{"Quelqu’un nous a donné votre adresse e-mail et a accepté ce qui suit. Tant que vous n’appuyez pas sur le bouton, cela vaut un non."},
			Button: "Oui, j’accepte", Action: ActConfirm,
			After: "Ce n’était pas vous, ou vous avez changé d’avis ? Fermez cette page : rien ne se passe. Vous pouvez retirer votre consentement à tout moment.",
		},
		ConsentConfirmed: {
			Title: "Merci",
			Lines: []string{"Vous avez accepté ce qui suit. Vous pouvez retirer votre consentement à tout moment.", "Vous pouvez fermer cette page."},
		},
		ConsentLapsed: {
			Title: "Ce lien est trop ancien",
			Lines: []string{"Le délai de confirmation est passé : rien n’a été accepté. Si vous souhaitez encore accepter, remplissez à nouveau le formulaire."},
		},
		ConsentWithdrawn: {
			Title: "Vous avez dit non",
			Lines: []string{"Vous avez refusé ou retiré ce consentement depuis l’envoi du message, et cela vaut. Si vous souhaitez finalement accepter, remplissez à nouveau le formulaire."},
		},
		PreferencesLink: {
			Title:  "Vos préférences",
			Lines:  []string{"Vous verrez ici ce que vous avez accepté et ce que vous avez refusé, et vous pourrez le changer.", "Le lien de votre e-mail sert une seule fois. Rien ne change tant que vous ne choisissez rien."},
			Button: "Voir mes préférences", Action: ActOpen,
		},
		Preferences: {
			Title: "Vos préférences",
			Lines: []string{"Vous pouvez changer chaque réponse à tout moment. Ce que vous désactivez prend fin maintenant ; ce qui a été fait avant reste licite."},
			After: "Cette page fonctionne une demi-heure. Ensuite, demandez un nouveau lien.",
		},
		PreferencesUnusable: {
			Title:  "Ce lien ne peut pas être utilisé",
			Lines:  []string{"Il est peut-être incomplet, déjà utilisé ou trop ancien. Un lien sert une seule fois, et sa page une demi-heure.", "Nous pouvons envoyer un nouveau lien à la même adresse."},
			Button: "Envoyer un nouveau lien", Action: ActResend,
		},
		PreferencesResent: {
			Title: "Consultez votre messagerie",
			Lines: []string{"Si nous connaissons l’adresse, un nouveau lien lui est envoyé. Cela peut prendre quelques minutes.", "Vous pouvez fermer cette page."},
		},
	},
}
