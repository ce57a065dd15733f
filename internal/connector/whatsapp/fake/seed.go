package fake

import (
	"strings"

	"github.com/avow-consent/avow/internal/connector/company"
)

// Invitation is the template that asks for a consent, by language.
var Invitation = map[string]Template{
	"en": {Name: "avow_invitation", Language: "en_US", Status: "APPROVED", Category: "UTILITY", Buttons: []string{"Yes, please", "No, thanks"},
		Body: "{{1}} would like to send you on WhatsApp: {{2}}. Do you agree? You can stop at any time by replying STOP. Privacy notice: {{3}}"},
	"fr": {Name: "avow_invitation", Language: "fr", Status: "APPROVED", Category: "UTILITY", Buttons: []string{"Oui, d'accord", "Non merci"},
		Body: "{{1}} souhaite vous envoyer sur WhatsApp : {{2}}. Êtes-vous d'accord ? Vous pouvez arrêter à tout moment en répondant STOP. Confidentialité : {{3}}"},
}

// Answer is the template that carries an answer to a request, by language.
var Answer = map[string]Template{
	"en": {Name: "avow_answer", Language: "en_US", Status: "APPROVED", Category: "UTILITY", Body: "{{1}}, about your request {{2}}: {{3}} You need not reply."},
	"fr": {Name: "avow_answer", Language: "fr", Status: "APPROVED", Category: "UTILITY", Body: "{{1}}, au sujet de votre demande {{2}} : {{3}} Vous n'avez pas à répondre."},
}

// seed fills the platform with the company's customers and templates.
func (s *Server) seed() {
	for _, p := range company.People() {
		if s.data.People[p.Phone] != nil { // Leo and Mo share a telephone
			continue
		}
		s.data.People[p.Phone] = &Person{Phone: p.Phone, UserID: "FR." + strings.TrimPrefix(p.ExternalID, "customer-") + "x", Name: p.Name()}
	}
	s.data.Templates = []Template{
		Invitation["en"], Invitation["fr"], Answer["en"], Answer["fr"],
		{Name: "offer_button", Language: "fr", Status: "APPROVED", Category: "MARKETING", Body: "Une offre", Buttons: []string{"Stop promotions"}},
		{Name: "offer_endless", Language: "fr", Status: "APPROVED", Category: "MARKETING", Body: "Une offre non-STOPPABLE"},
		{Name: "offer_draft", Language: "fr", Status: "PENDING", Category: "MARKETING", Body: "x"},
		{Name: "offer_tired", Language: "fr", Status: "PAUSED", Category: "MARKETING", Body: "x"},
		{Name: "offer", Language: "en_US", Status: "APPROVED", Category: "MARKETING", Body: "An offer: {{1}}. Reply STOP to stop."},
		{Name: "offer", Language: "fr", Status: "APPROVED", Category: "MARKETING", Body: "Une offre : {{1}}. Répondez STOP pour arrêter."},
	}
}
