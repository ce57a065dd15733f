package demo

import (
	"embed"
	"strings"
)

// Notice is a text that the shop shows, by language; its first paragraph is its title.
type Notice struct {
	Identifier string
	Content    map[string]string
}

// Preference is an entry of the shop's register of preferences.
type Preference struct {
	Key           string
	Purpose       map[string]string // by language
	LegalBasis    string
	Channel       string
	ValidityDays  int // 0: until withdrawn
	SaleOrSharing bool
}

//go:embed notices
var wording embed.FS

var notices = []Notice{readNotice("privacy_policy"), readNotice("terms")}

func readNotice(identifier string) Notice {
	n := Notice{Identifier: identifier, Content: map[string]string{}}
	for lang := range texts {
		b, err := wording.ReadFile("notices/" + identifier + "." + lang + ".txt")
		if err != nil {
			panic(err) // embedded when this was built
		}
		n.Content[lang] = strings.TrimSpace(string(b))
	}
	return n
}

// Notices returns what the local stack publishes for the shop at its first start.
func Notices() []Notice { return notices }

// Preferences returns the shop's register of preferences.
func Preferences() []Preference {
	return []Preference{
		{
			Key: "newsletter",
			Purpose: map[string]string{
				"en": "Send news and seasonal recipes by e-mail, about once a month.",
				"fr": "Envoyer par e-mail, environ une fois par mois, des nouvelles et des recettes de saison.",
			},
			LegalBasis: "consent", Channel: "email", ValidityDays: 1095,
		},
		{
			Key: "profiling",
			Purpose: map[string]string{
				"en": "Derive tastes from orders and share them with an advertising partner, to show offers that fit.",
				"fr": "Déduire des goûts à partir des commandes et les partager avec un partenaire publicitaire, pour montrer des offres adaptées.",
			},
			LegalBasis: "consent", Channel: "web", ValidityDays: 395, SaleOrSharing: true,
		},
		{
			Key: "terms",
			Purpose: map[string]string{
				"en": "Agree to the terms of sale, without which no order can be taken.",
				"fr": "Accepter les conditions de vente, sans lesquelles aucune commande ne peut être prise.",
			},
			LegalBasis: "contract", Channel: "web",
		},
		{
			Key: "audience",
			Purpose: map[string]string{
				"en": "Count visits, to see which pages are read.",
				"fr": "Compter les visites, pour voir quelles pages sont lues.",
			},
			LegalBasis: "consent", Channel: "web", ValidityDays: 182,
		},
		{
			Key: "advertising",
			Purpose: map[string]string{
				"en": "Let an advertising partner see what is looked at, to show our offers elsewhere.",
				"fr": "Laisser un partenaire publicitaire voir ce qui est regardé, pour montrer nos offres ailleurs.",
			},
			LegalBasis: "consent", Channel: "web", ValidityDays: 182, SaleOrSharing: true,
		},
	}
}
