package page

import "strings"

// centre is what stands in the preference centre in one language. In the texts
// {when} is since followed by a date, or nothing; {until} is a date.
type centre struct {
	Legend   string
	Save     string
	Refuse   string // the button that switches everything off
	On, Off  string // behind what was chosen
	outcomes map[Outcome]string
	fixed    map[string]string // by legal basis
	reasons  map[string]string // by reason
	presumed map[string]string // what nobody has objected to, by legal basis
	until    string            // of a yes that lapses
	unknown  string            // any other reason
	since    string
}

// is stands behind a purpose that is on or off now.
func (c centre) is(on bool) string {
	if on {
		return c.On
	}
	return c.Off
}

// The actions of the preference centre.
const (
	ActOpen   = "open"
	ActSave   = "save"
	ActRefuse = "refuse" // everything
)

// state says in words how a switch stands, and why.
func (w words) state(s Switch) string {
	c := w.centre
	text, known := c.reasons[s.Reason]
	switch {
	case s.Fixed && s.On:
		text, known = c.fixed[s.Basis]
	case s.Reason == "never_asked" && s.On:
		text, known = c.presumed[s.Basis]
	case s.Reason == "granted" && s.Until != "":
		text += " " + c.until
	}
	if !known {
		text = c.unknown
	}
	when := ""
	if s.Since != "" {
		when = c.since + s.Since
	}
	return strings.NewReplacer("{when}", when, "{until}", s.Until).Replace(text)
}

var englishCentre = centre{
	Legend: "What may we use your data for?", Save: "Save", Refuse: "Refuse everything", On: ": on", Off: ": off",
	outcomes: map[Outcome]string{
		Saved:     "Saved. Your choice:",
		Unchanged: "Nothing has changed.",
		Stale:     "Our texts have changed since you opened this page, so nothing was saved. Please look again.",
	},
	fixed: map[string]string{
		"contract":         "Always on: we need it for our contract with you.",
		"legal_obligation": "Always on: the law obliges us.",
		"vital_interests":  "Always on: it protects somebody’s life or health.",
	},
	presumed: map[string]string{
		"legitimate_interest": "On, because we have a legitimate interest. You may object: switch it off.",
		"public_task":         "On, because it is a task in the public interest. You may object: switch it off.",
	},
	until:   "Your yes holds until {until}.",
	unknown: "Off.", since: " on ",
	reasons: map[string]string{
		"granted":         "You said yes{when}.",
		"refused":         "You said no{when}.",
		"withdrawn":       "You withdrew your yes{when}.",
		"objected":        "You objected{when}.",
		"expired":         "Off: your yes has run out.",
		"never_asked":     "Off: you have said nothing about it.",
		"unconfirmed":     "Off: a yes was sent to us, and nobody knows whether it was yours.",
		"pending":         "Off: you said yes, and have not confirmed it yet.",
		"lapsed":          "Off: you said yes, and did not confirm it in time.",
		"not_boolean":     "Off: what was said about it is no yes.",
		"restricted":      "Off: you have had the use of your data restricted. Until that ends, we use it for nothing, whatever you choose here.",
		"too_many_events": "Off.",
	},
}

var frenchCentre = centre{
	Legend: "À quoi vos données peuvent-elles servir ?", Save: "Enregistrer", Refuse: "Tout refuser", On: " : activé", Off: " : désactivé",
	outcomes: map[Outcome]string{
		Saved:     "C’est enregistré. Votre choix :",
		Unchanged: "Rien n’a changé.",
		Stale:     "Nos textes ont changé depuis que vous avez ouvert cette page : rien n’a été enregistré. Merci de les relire.",
	},
	fixed: map[string]string{
		"contract":         "Toujours activé : c’est nécessaire à notre contrat avec vous.",
		"legal_obligation": "Toujours activé : la loi nous y oblige.",
		"vital_interests":  "Toujours activé : il y va de la vie ou de la santé de quelqu’un.",
	},
	presumed: map[string]string{
		"legitimate_interest": "Activé, car nous y avons un intérêt légitime. Vous pouvez vous y opposer : désactivez-le.",
		"public_task":         "Activé, car c’est une mission d’intérêt public. Vous pouvez vous y opposer : désactivez-le.",
	},
	until:   "Votre oui vaut jusqu’au {until}.",
	unknown: "Désactivé.", since: " le ",
	reasons: map[string]string{
		"granted":         "Vous avez dit oui{when}.",
		"refused":         "Vous avez dit non{when}.",
		"withdrawn":       "Vous avez retiré votre oui{when}.",
		"objected":        "Vous avez fait opposition{when}.",
		"expired":         "Désactivé : votre oui n’est plus valable.",
		"never_asked":     "Désactivé : vous n’en avez rien dit.",
		"unconfirmed":     "Désactivé : un oui nous est parvenu, mais rien ne dit qu’il vient de vous.",
		"pending":         "Désactivé : vous avez dit oui, mais ne l’avez pas encore confirmé.",
		"lapsed":          "Désactivé : vous avez dit oui, mais ne l’avez pas confirmé à temps.",
		"not_boolean":     "Désactivé : ce qui en a été dit n’est pas un oui.",
		"restricted":      "Désactivé : vous avez fait limiter l’utilisation de vos données. Tant que cela dure, elles ne servent à rien, quoi que vous choisissiez ici.",
		"too_many_events": "Désactivé.",
	},
}
