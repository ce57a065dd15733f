package dossier

import (
	"fmt"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/sheet"
)

// words are the texts of the pages in one language.
type words struct {
	Language string

	TitleAccess, TitlePortability, TitleDisclosure string
	IntroAccess, IntroPortability, IntroDisclosure string
	Received, BuiltOn, RequestNo, Controller       string
	Keep, KeepWhy, KeepDisclosure                  string
	YourData, ReadPage, DataFile, NoSystems        string
	Included, Nothing, ByHand, LeftOutTag, NotPort string
	NothingWhy, ByHandWhy, LeftOutWhy, NotPortWhy  string
	Reason, LeftOut, NoReason                      string
	About, AboutLink, AboutIntro, Back, Skip       string
	InThisFile, FileIndex, FileContext, FilePages  string
	FileData, FileFiles, FileManifest              string
	Who, DPO, Authority, Rights, Systems           string
	Source, Recipients, Processor, DPA, Region     string
	InEEA, OutEEA, Transfer, TransferCopy, Backups string
	Purpose, Basis, Retention                      string
	Automated, Unstated, NoDecisions               string
	Logic, Consequences                            string
	Attachments, Pages, Previous, Next, Cut        string
	Yes, No, Empty, Renamed, FileLeft              string

	One, Many, OneFile, ManyFiles string            // with %s for the number
	RangeText                     string            // from, to, of all
	RestText                      string            // shown, of all
	MoreFiles                     string            // how many
	Kinds, Fields                 map[string]string // as data files write them
	RightsGDPR, RightsOther       []string
}

// wordsOf gives the texts of a language, English where there are none.
func wordsOf(language string) *words {
	if sheet.Language(language) == "fr" {
		return &french
	}
	return &english
}

// stamp is a time as data files show it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (w *words) date(t time.Time) string { return sheet.Date(w.Language, t) }
func (w *words) number(n int) string     { return sheet.Number(w.Language, n) }
func (w *words) size(n int64) string     { return sheet.Size(w.Language, n) }

func (w *words) records(n int) string {
	if n == 1 {
		return fmt.Sprintf(w.One, w.number(n))
	}
	return fmt.Sprintf(w.Many, w.number(n))
}

func (w *words) files(n int) string {
	if n == 1 {
		return fmt.Sprintf(w.OneFile, w.number(n))
	}
	return fmt.Sprintf(w.ManyFiles, w.number(n))
}

// kind names a kind of record.
func (w *words) kind(kind string) string {
	if known, ok := w.Kinds[kind]; ok {
		return known
	}
	return label(kind)
}

// field names a field of a record: one that the language knows, any other as it
// is called.
func (w *words) field(name string) string {
	if known, ok := w.Fields[name]; ok {
		return known
	}
	return label(name)
}

// label makes the name of a field readable: "created_at" becomes "Created at".
func label(name string) string {
	name = strings.TrimSpace(strings.ReplaceAll(name, "_", " "))
	if name == "" {
		return "–"
	}
	if known, ok := short[strings.ToLower(name)]; ok {
		return known
	}
	r := []rune(name)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

// short are names of fields that are not words.
var short = map[string]string{"id": "ID", "ip": "IP", "ip address": "IP address", "url": "URL", "uuid": "UUID", "email": "E-mail"}

func (p *plan) title() string {
	switch p.in.Request.Type {
	case request.Portability:
		return p.words.TitlePortability
	case request.Disclosure:
		return p.words.TitleDisclosure
	}
	return p.words.TitleAccess
}

func (p *plan) intro() string {
	text := p.words.IntroAccess
	switch p.in.Request.Type {
	case request.Portability:
		text = p.words.IntroPortability
	case request.Disclosure:
		text = p.words.IntroDisclosure
	}
	return fmt.Sprintf(text, p.in.Controller.Name)
}

// rights are what the person may ask for next. Those of the GDPR have articles;
// other regimes are named without.
func (p *plan) rights() []string {
	if p.in.Request.Regime == request.GDPR {
		return p.words.RightsGDPR
	}
	return p.words.RightsOther
}

var english = words{
	Language:         "en",
	TitleAccess:      "Your personal data",
	TitlePortability: "Your data to take with you",
	TitleDisclosure:  "Disclosure of personal data",
	IntroAccess:      "You asked what personal data %s holds about you. This file is the answer: a copy of your data, and what you are entitled to know about it.",
	IntroPortability: "You asked %s for the data that you provided, in a form that another provider can read. The folder data holds it as JSON; the pages show the same to you.",
	IntroDisclosure:  "This file holds the personal data that %s discloses on a legal request.",
	Received:         "Request received", BuiltOn: "File made on", RequestNo: "Request number", Controller: "Who answers",
	Keep:           "Keep this file safe.",
	KeepWhy:        "It holds personal data about you. The pages open in your browser without the internet: nothing is sent anywhere, and nothing in them can run.",
	KeepDisclosure: "It holds personal data. The pages open in a browser without the internet: nothing is sent anywhere, and nothing in them can run.",
	YourData:       "The data, by system", ReadPage: "Read it", DataFile: "The same as data (JSON)", NoSystems: "No system was asked.",
	Included: "included", Nothing: "nothing found", ByHand: "handled by a person", LeftOutTag: "not included", NotPort: "not covered",
	NothingWhy:   "We looked and found nothing about you here.",
	ByHandWhy:    "A person looked after this system. What it holds about you, if anything, reaches you separately.",
	LeftOutWhy:   "What this system holds is not part of this file.",
	NotPortWhy:   "The right to data portability covers data that you provided yourself, on your consent or for a contract. You may still ask for a copy of the data in this system: that is the right of access.",
	Reason:       "Reason:",
	LeftOut:      "Left out of this file:",
	NoReason:     "to protect other people",
	About:        "About the use of your data",
	AboutLink:    "Why your data is held, for how long, who receives it, and your rights",
	AboutIntro:   "What the law entitles you to know beside the data itself.",
	Back:         "Back to the overview",
	Skip:         "Skip to the content",
	InThisFile:   "What is in this file",
	FileIndex:    "this page",
	FileContext:  "why the data is held, and your rights: to read, and as data",
	FilePages:    "the data to read",
	FileData:     "the same data, complete and machine-readable (JSON), one file per system",
	FileFiles:    "attachments, as they are stored. Files that a browser would run have a new ending and open as text.",
	FileManifest: "a list of all files with their SHA-256, by which anybody can check that none was changed",
	Who:          "Who is responsible", DPO: "Data protection officer", Authority: "Where you can complain", Rights: "Your rights", Systems: "The systems that were asked",
	Source: "Where the data comes from", Recipients: "Who receives it", Processor: "Run for us by", DPA: "contract of", Region: "Where it is kept",
	InEEA: "inside the European Economic Area", OutEEA: "outside the European Economic Area", Transfer: "Safeguard for the transfer",
	TransferCopy: "You may ask us for a copy of it.", Backups: "Backups",
	Purpose: "Why", Basis: "Legal basis", Retention: "How long",
	Automated:   "Automated decisions",
	Unstated:    "The controller has stated none for this system.",
	NoDecisions: "None: nothing is decided about you by automated means alone, profiling included.",
	Logic:       "How it decides", Consequences: "What it means for you",
	Attachments: "Attachments", Pages: "Pages", Previous: "Previous page", Next: "Next page",
	Cut: "This record is longer than what is shown here. All of it:",
	Yes: "yes", No: "no", Empty: "–", Renamed: "saved as %s", FileLeft: "left out: %s",
	One: "%s record", Many: "%s records", OneFile: "%s attachment", ManyFiles: "%s attachments",
	RangeText: "Records %s to %s of %s",
	RestText:  "The pages show the first %s of %s records. All of them:",
	MoreFiles: "And %s more, in the folder of this system under files/.",
	Kinds: map[string]string{
		"subjects": "Person", "links": "Number and e-mail", "statements": "Statement",
		"consents": "Consent", "consent": "Consent", "document": "Document", "documents": "Document", "profile": "Profile", "users": "User", "user": "User", "notices": "Notice",
		"tickets": "Ticket", "messages": "Message", "conversations": "Conversation", "chats": "Chat", "calls": "Call", "notes": "Note", "contacts": "Contact",
	},
	RightsGDPR: []string{
		"You may have wrong data corrected and missing data added (Art. 16 GDPR).",
		"You may ask for your data to be erased (Art. 17).",
		"You may ask that its use be restricted (Art. 18).",
		"You may receive the data that you provided in a machine-readable form, or have it sent to somebody else (Art. 20).",
		"You may object to its use, at any time and without a reason where it is used for direct marketing (Art. 21).",
		"You may withdraw a consent at any time. What was done before stays lawful (Art. 7(3)).",
		"You may complain to a supervisory authority (Art. 77).",
	},
	RightsOther: []string{
		"You may have wrong data corrected.",
		"You may ask for your data to be deleted.",
		"You may ask that it be neither sold nor shared, and that the use of sensitive data be limited.",
		"You may receive your data in a portable form.",
		"You will not be treated worse for using your rights.",
	},
}

var french = words{
	Language:         "fr",
	TitleAccess:      "Vos données personnelles",
	TitlePortability: "Vos données à emporter",
	TitleDisclosure:  "Communication de données personnelles",
	IntroAccess:      "Vous avez demandé quelles données personnelles %s détient à votre sujet. Ce dossier est la réponse : une copie de vos données, et ce que vous avez le droit de savoir à leur sujet.",
	IntroPortability: "Vous avez demandé à %s les données que vous avez fournies, sous une forme qu’un autre prestataire peut lire. Le dossier data les contient au format JSON ; les pages vous montrent la même chose.",
	IntroDisclosure:  "Ce dossier contient les données personnelles que %s communique à la suite d’une demande légale.",
	Received:         "Demande reçue le", BuiltOn: "Dossier établi le", RequestNo: "Numéro de demande", Controller: "Qui répond",
	Keep:           "Conservez ce dossier en lieu sûr.",
	KeepWhy:        "Il contient des données personnelles à votre sujet. Les pages s’ouvrent dans votre navigateur sans internet : rien n’est envoyé, et rien ne peut s’y exécuter.",
	KeepDisclosure: "Il contient des données personnelles. Les pages s’ouvrent dans un navigateur sans internet : rien n’est envoyé, et rien ne peut s’y exécuter.",
	YourData:       "Les données, par système", ReadPage: "Les lire", DataFile: "Les mêmes sous forme de données (JSON)", NoSystems: "Aucun système n’a été interrogé.",
	Included: "inclus", Nothing: "rien trouvé", ByHand: "traité par une personne", LeftOutTag: "non inclus", NotPort: "non concerné",
	NothingWhy:   "Nous avons cherché et n’avons rien trouvé à votre sujet ici.",
	ByHandWhy:    "Une personne s’est chargée de ce système. Ce qu’il contient éventuellement à votre sujet vous parvient séparément.",
	LeftOutWhy:   "Ce que contient ce système ne fait pas partie de ce dossier.",
	NotPortWhy:   "Le droit à la portabilité porte sur les données que vous avez fournies vous-même, sur la base de votre consentement ou d’un contrat. Vous pouvez néanmoins demander une copie des données de ce système : c’est le droit d’accès.",
	Reason:       "Motif :",
	LeftOut:      "Ne figure pas dans ce dossier :",
	NoReason:     "protection d’autres personnes",
	About:        "À propos de l’utilisation de vos données",
	AboutLink:    "Pourquoi vos données sont conservées, combien de temps, qui les reçoit, et vos droits",
	AboutIntro:   "Ce que la loi vous donne le droit de savoir, en plus des données elles-mêmes.",
	Back:         "Retour à l’aperçu",
	Skip:         "Aller au contenu",
	InThisFile:   "Ce que contient ce dossier",
	FileIndex:    "cette page",
	FileContext:  "pourquoi les données sont conservées, et vos droits : à lire, et sous forme de données",
	FilePages:    "les données à lire",
	FileData:     "les mêmes données, complètes et lisibles par une machine (JSON), un fichier par système",
	FileFiles:    "les pièces jointes, telles qu’elles sont conservées. Les fichiers qu’un navigateur exécuterait ont une autre extension et s’ouvrent comme du texte.",
	FileManifest: "la liste de tous les fichiers avec leur SHA-256, qui permet à chacun de vérifier qu’aucun n’a été modifié",
	Who:          "Qui est responsable", DPO: "Délégué à la protection des données", Authority: "Où adresser une réclamation", Rights: "Vos droits", Systems: "Les systèmes interrogés",
	Source: "D’où viennent les données", Recipients: "Qui les reçoit", Processor: "Exploité pour nous par", DPA: "contrat du", Region: "Où elles sont conservées",
	InEEA: "dans l’Espace économique européen", OutEEA: "hors de l’Espace économique européen", Transfer: "Garantie du transfert",
	TransferCopy: "Vous pouvez nous en demander une copie.", Backups: "Sauvegardes",
	Purpose: "Pourquoi", Basis: "Base juridique", Retention: "Combien de temps",
	Automated:   "Décisions automatisées",
	Unstated:    "Le responsable du traitement n’en a déclaré aucune pour ce système.",
	NoDecisions: "Aucune : rien n’est décidé à votre sujet par des moyens uniquement automatisés, profilage compris.",
	Logic:       "Comment la décision est prise", Consequences: "Ce que cela signifie pour vous",
	Attachments: "Pièces jointes", Pages: "Pages", Previous: "Page précédente", Next: "Page suivante",
	Cut: "Cet enregistrement est plus long que ce qui est montré ici. En entier :",
	Yes: "oui", No: "non", Empty: "–", Renamed: "enregistré sous %s", FileLeft: "non inclus : %s",
	One: "%s enregistrement", Many: "%s enregistrements", OneFile: "%s pièce jointe", ManyFiles: "%s pièces jointes",
	RangeText: "Enregistrements %s à %s sur %s",
	RestText:  "Les pages montrent les %s premiers enregistrements sur %s. Tous :",
	MoreFiles: "Et %s autres, dans le dossier de ce système sous files/.",
	Fields: map[string]string{
		"subject_id": "Numéro chez nous", "email": "E-mail", "first_name": "Prénom", "last_name": "Nom", "full_name": "Nom complet", "name": "Nom",
		"phones": "Téléphones", "phone": "Téléphone", "number": "Numéro", "label": "Libellé", "verified": "Vérifié", "created": "Créé le",
		"created_at": "Créé le", "updated": "Modifié le", "updated_at": "Modifié le", "preferences": "Préférences", "preference": "Préférence",
		"value": "Valeur", "granted": "Accordé", "reason": "Raison", "since": "Depuis le", "expires_at": "Expire le", "decided_by": "Décidé par",
		"partial": "Incomplet", "kind": "Nature", "source": "Origine", "act": "Acte", "at": "Le", "received_at": "Reçu le",
		"corrected_at": "Date corrigée", "sent_at": "Envoyé le", "device_time": "Heure de l’appareil", "stated": "Déclaré",
		"objected_to": "Opposition à", "objected_to_all": "Opposition à tout", "restriction_lifted": "Limitation levée", "request": "Demande",
		"global_privacy_control": "Global Privacy Control", "ip_address": "Adresse IP", "consent_type": "Type de consentement",
		"subject_token": "Jeton de la personne", "legal_notices": "Mentions d’information", "identifier": "Identifiant", "version": "Version",
		"version_given": "Version indiquée", "files": "Fichiers", "file": "Fichier", "proofs": "Preuves", "content": "Contenu",
		"content_file": "Fichier du contenu", "form": "Formulaire", "form_file": "Fichier du formulaire", "form_sha256": "SHA-256 du formulaire",
		"missing": "Manquant", "documents": "Documents", "checksum": "Somme de contrôle", "subject": "Objet", "message": "Message",
		"messages": "Messages", "status": "État", "address": "Adresse", "language": "Langue", "notes": "Notes", "tags": "Étiquettes",
	},
	Kinds: map[string]string{
		"subjects": "Personne", "links": "Numéro et e-mail", "statements": "Déclaration",
		"consents": "Consentement", "consent": "Consentement", "document": "Document", "documents": "Document", "profile": "Profil", "users": "Utilisateur", "user": "Utilisateur", "notices": "Mention d’information",
		"tickets": "Ticket", "messages": "Message", "conversations": "Conversation", "chats": "Discussion", "calls": "Appel", "notes": "Note", "contacts": "Contact",
	},
	RightsGDPR: []string{
		"Vous pouvez faire corriger des données inexactes et compléter des données manquantes (art. 16 RGPD).",
		"Vous pouvez demander l’effacement de vos données (art. 17).",
		"Vous pouvez demander que leur utilisation soit limitée (art. 18).",
		"Vous pouvez recevoir les données que vous avez fournies sous une forme lisible par une machine, ou les faire transmettre à un tiers (art. 20).",
		"Vous pouvez vous opposer à leur utilisation, à tout moment et sans motif s’il s’agit de prospection (art. 21).",
		"Vous pouvez retirer un consentement à tout moment. Ce qui a été fait auparavant reste licite (art. 7, par. 3).",
		"Vous pouvez introduire une réclamation auprès d’une autorité de contrôle (art. 77).",
	},
	RightsOther: []string{
		"Vous pouvez faire corriger des données inexactes.",
		"Vous pouvez demander la suppression de vos données.",
		"Vous pouvez demander qu’elles ne soient ni vendues ni partagées, et que l’usage de données sensibles soit limité.",
		"Vous pouvez recevoir vos données sous une forme portable.",
		"Vous ne serez pas moins bien traité pour avoir exercé vos droits.",
	},
}
