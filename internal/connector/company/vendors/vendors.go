// Package vendors is what the company's customers write to: the fakes of its
// vendors, each with the company in it, and their entries in systems.json.
package vendors

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
	genesys "github.com/avow-consent/avow/internal/connector/genesys/fake"
	salesforce "github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	phone "github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	chat "github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
	messaging "github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	support "github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	zoom "github.com/avow-consent/avow/internal/connector/zoom/fake"
)

// The systems, which have the names of their kinds.
const (
	Chat       = "zendesk-chat"
	Message    = "zendesk-message" // nobody but people reach it
	Messaging  = "zendesk-messaging"
	Support    = "zendesk-support"
	Genesys    = "genesys"
	Zoom       = "zoom"
	Salesforce = "salesforce"
	WhatsApp   = "whatsapp"
)

// Zendesk are the systems that Zendesk runs.
var Zendesk = []string{Chat, Message, Messaging, Support}

// All are all systems.
var All = slices.Concat(Zendesk, []string{Genesys, Zoom, Salesforce, WhatsApp})

// Vendors are the fakes of the company's vendors.
type Vendors struct {
	Chat       *chat.Server
	Messaging  *messaging.Server
	Support    *support.Server
	Genesys    *genesys.Server
	Zoom       *zoom.Server
	Salesforce *salesforce.Server
	WhatsApp   *phone.Server
}

// Fake is one of them.
type Fake interface {
	http.Handler
	Save() ([]byte, error)
	Restore([]byte) error
	Served() int
	Calls() []fakekit.Call
	Beyond() int
	Fail(fakekit.Failure)
	Mend()
	Advance(time.Duration)
}

// New makes the fakes.
func New(o fakekit.Options) *Vendors {
	return &Vendors{
		Chat:       chat.New(chat.Options{Options: o}),
		Messaging:  messaging.New(messaging.Options{Options: o}),
		Support:    support.New(support.Options{Options: o}),
		Genesys:    genesys.New(genesys.Options{Options: o}),
		Zoom:       zoom.New(zoom.Options{Options: o, PerSecond: 80}), // a Business account
		Salesforce: salesforce.New(salesforce.Options{Options: o}),
		WhatsApp:   phone.New(phone.Options{Options: o}),
	}
}

// Fakes are the fakes by system.
func (v *Vendors) Fakes() map[string]Fake {
	return map[string]Fake{
		Chat: v.Chat, Messaging: v.Messaging, Support: v.Support, Genesys: v.Genesys, Zoom: v.Zoom, Salesforce: v.Salesforce, WhatsApp: v.WhatsApp,
	}
}

// Secrets are the credentials of each system, under its name; those of WhatsApp's
// webhook stand apart.
func Secrets() map[string][]byte {
	all := map[string][]byte{
		WhatsApp:                      []byte(`{"access_token":"` + phone.Token + `"}`),
		whatsapp.HookSecret(WhatsApp): []byte(`{"app_secret":"` + phone.AppSecret + `","verify_token":"` + phone.VerifyToken + `"}`),
	}
	for name, id := range map[string][2]string{
		Chat: {"avow", "chat-secret"}, Messaging: {messaging.ID, messaging.Secret}, Support: {"avow", "zendesk-secret"},
		Genesys: {genesys.ID, genesys.Secret}, Zoom: {zoom.ID, zoom.Secret}, Salesforce: {salesforce.ID, salesforce.Secret},
	} {
		all[name], _ = json.Marshal(map[string]string{"client_id": id[0], "client_secret": id[1]}) // strings always encode
	}
	return all
}

// marks are the flags that follow the answer to "newsletter".
var marks = map[string]string{Salesforce: "HasOptedOutOfEmail", Support: "no-newsletter"}

type object = map[string]any

// Systems are the entries in systems.json of the systems that are named. address
// is where each fake listens, site whose consents WhatsApp is about, day how long a
// day of the vendors' jobs lasts.
func Systems(names []string, address map[string]string, site string, day time.Duration) (list []map[string]any) {
	entries := map[string]object{
		Message: message(),
		Chat:    operated(Chat, "Zendesk", "DE", texts("Live chat (Zendesk Chat)", "Tchat (Zendesk Chat)"), object{"base_url": address[Chat], "support": Support}),
		Messaging: operated(Messaging, "Zendesk", "DE", texts("Messaging (Zendesk)", "Messagerie (Zendesk)"),
			object{"base_url": address[Messaging] + "/sc", "app_id": messaging.App, "support": Support}),
		Support: operated(Support, "Zendesk", "DE", texts("Help desk (Zendesk Support)", "Assistance (Zendesk Support)"),
			object{"base_url": address[Support], "settle": day.String()}),
		Genesys: operated(Genesys, "Genesys Cloud Services B.V.", "IE", texts("Contact centre (Genesys Cloud)", "Centre de contact (Genesys Cloud)"), object{
			"base_url": address[Genesys], "login_url": address[Genesys], "region": "mypurecloud.ie", "chat_retention_days": 365, "poll": (day / 24).String(),
		}),
		Zoom: operated(Zoom, "Zoom", "DE", texts("Video meetings and telephone (Zoom)", "Visioconférences et téléphonie (Zoom)"), object{
			"base_url": address[Zoom] + "/v2", "login_url": address[Zoom], "account_id": zoom.Account, "phone": true, "per_second": 40,
		}),
		Salesforce: operated(Salesforce, "Salesforce", "FR", texts("Customer relations (Salesforce)", "Relation client (Salesforce)"), object{
			"base_url": address[Salesforce], "external_id": "Customer_Number__c", "zoom": Zoom,
			"custom": []object{{"object": "Zoom_Registrant__c", "contact": "Contact__c", "lead": "Lead__c", "email": []string{"Email__c"}}},
			"zoom_ids": map[string]string{
				"Contact.Zoom_User__c": "user_id", "Zoom_Registrant__c.Registrant_Id__c": "registrant_id", "Zoom_Registrant__c.Webinar_Id__c": "webinar_id",
			},
		}),
	}
	entries[WhatsApp] = operated(WhatsApp, "WhatsApp Ireland", "IE", texts("Messages (WhatsApp)", "Messages (WhatsApp)"), object{
		"base_url": address[WhatsApp], "phone_number_id": phone.NumberID, "account_id": phone.AccountID, "site": site,
		"privacy_url": "https://shop.example/privacy", "metadata_days": 30,
		"invitation": object{"template": "avow_invitation", "version": "2026-01", "languages": wordings(phone.Invitation)},
		"answer":     object{"template": "avow_answer", "version": "2026-01", "languages": wordings(phone.Answer)},
	})
	for _, name := range slices.Sorted(slices.Values(names)) {
		entry := entries[name]
		if name != Message {
			entry["secret"], entry["portable"] = name, name != Chat
			entry["config"].(object)["allow_local"] = true
		}
		if flag := marks[name]; flag != "" {
			entry["marks"] = map[string]string{"newsletter": flag}
		}
		list = append(list, entry)
	}
	return list
}

// wordings are those of a template, by language.
func wordings(templates map[string]phone.Template) object {
	all := object{}
	for language, t := range templates {
		one := object{"code": t.Language, "body": t.Body}
		if len(t.Buttons) > 0 {
			one["yes"], one["no"] = t.Buttons[0], t.Buttons[1]
		}
		all[language] = one
	}
	return all
}

// message is the older inbox: chats go before its sessions.
func message() object {
	entry := operated(Message, "Zendesk", "DE", texts("Social inbox (Zendesk Message)", "Messagerie des réseaux sociaux (Zendesk Message)"), object{
		"after": map[string]string{Chat: "Zendesk's order: chats before sessions"},
		"operations": object{"erase": object{"instructions": texts(
			"Open the dashboard of Message as an administrator, search for the person by name and e-mail, and delete each session that is certainly theirs. Search again until nothing is found, and upload a picture of the empty search.",
			"Ouvrez le tableau de bord de Message en tant qu'administrateur, recherchez la personne par nom et adresse e-mail, et supprimez chaque session qui est certainement la sienne. Recherchez de nouveau jusqu'à ce que rien ne soit trouvé, puis déposez une capture de la recherche vide.",
		)}},
	})
	entry["kind"] = "manual"
	entry["data"] = []object{{
		"name":      texts("Messages of social networks", "Messages des réseaux sociaux"),
		"purpose":   texts("Customer support", "Assistance à la clientèle"),
		"retention": texts("2 years", "2 ans"),
	}}
	return entry
}

// operated is a system that a processor runs for the company. Its kind has its
// name.
func operated(name, processor, region string, title map[string]string, config object) object {
	return object{
		"name": name, "kind": name, "title": title, "region": region, "config": config,
		"processor": object{"name": processor, "dpa": "2025-03-01", "clauses": "Art. 28(7), (EU) 2021/915"},
	}
}

func texts(en, fr string) map[string]string { return map[string]string{"en": en, "fr": fr} }
