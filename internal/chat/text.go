package chat

// says are the texts of what Avow answers by itself, by language. Each is short
// enough for one message.
var says = map[Purpose]map[string]string{
	Stopped: {
		"en": "You will get no more messages from us on WhatsApp. This is the last one, apart from answers to requests about your data. Should you change your mind, write START.",
		"fr": "Vous ne recevrez plus de messages de notre part sur WhatsApp. Celui-ci est le dernier, sauf les réponses à vos demandes sur vos données. Si vous changez d'avis, écrivez START.",
	},
	Prove: {
		"en": "You have asked us about your personal data. Please confirm that it is you, and that you want this request.",
		"fr": "Vous nous avez fait une demande sur vos données personnelles. Confirmez que c'est bien vous et que vous voulez cette demande.",
	},
	Opened: {
		"en": "Thank you. We are working on your request and answer within the time that the law allows. Your reference: ",
		"fr": "Merci. Nous traitons votre demande et vous répondrons dans le délai légal. Votre référence : ",
	},
	Left: {
		"en": "Somebody else had this telephone number before, so it does not tell us whose data you mean. Please write to us as our privacy notice says, and prove who you are.",
		"fr": "Ce numéro de téléphone appartenait à quelqu'un d'autre : il ne nous dit pas de quelles données il s'agit. Écrivez-nous comme l'indique notre politique de confidentialité, en prouvant qui vous êtes.",
	},
	Agreed: {
		"en": "Thank you, noted. You can stop at any time: write STOP.",
		"fr": "Merci, c'est noté. Vous pouvez arrêter à tout moment : écrivez STOP.",
	},
	Late: {
		"en": "This question is no longer open, so nothing has changed and nothing will be sent. To begin again, write START.",
		"fr": "Cette question n'est plus ouverte : rien n'a changé et rien ne vous sera envoyé. Pour recommencer, écrivez START.",
	},
}

// stops are what every marketing message ends with.
var stops = map[string]string{"en": "To stop, reply STOP.", "fr": "Pour arrêter, répondez STOP."}

// labels are those of the buttons under the question of Prove, yes and no.
var labels = map[string][2]string{"en": {"Yes, it is me", "No, forget it"}, "fr": {"Oui, c'est moi", "Non, oubliez"}}

// in is a text in a language, in English where there is none.
func in[T any](texts map[string]T, language string) T {
	if t, ok := texts[language]; ok {
		return t
	}
	return texts["en"]
}

// Says is the text of an answer; about is the request that it names. A language
// that is not written gets English.
func Says(p Purpose, language, about string) string {
	text := in(says[p], language)
	switch {
	case p == Opened:
		text += about
	case p == Left && about != "":
		text += " (" + about + ")"
	}
	return text
}

// WithStop is a marketing text with the way to stop it.
func WithStop(text, language string) string { return text + "\n\n" + in(stops, language) }

// ProveLabels are the labels of the buttons under the question of Prove.
func ProveLabels(language string) (yes, no string) {
	l := in(labels, language)
	return l[0], l[1]
}
