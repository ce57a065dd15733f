package certificate

import "github.com/avow-consent/avow/internal/sheet"

// words are the texts of the page in one language.
type words struct {
	Language                                          string
	Title, Intro, Trial, Skip                         string
	RequestNo, Received, Identity, Approved, Answered string
	Issued, Serial, Final                             string
	Systems, NoSystems, When, Found, Deleted, Where   string
	Order, After, AgesOut, Reason, Hold               string
	Kept, Until, LookedAgain, Gone, Evidence, Told    string
	Covered, CoveredWhy, Check, CheckHow              string
	Digest, Key, Signature, Log, LogText, Colon       string
	Kinds                                             map[string]string // of records and identifiers
	Roles                                             map[string]string
	Outcomes                                          map[Outcome]string
}

func wordsOf(language string) *words {
	if sheet.Language(language) == "fr" {
		return &french
	}
	return &english
}

var english = words{
	Language: "en", Title: "Certificate of erasure", Skip: "Skip to the content",
	Intro:     "%s certifies what was done with the personal data of the person who made the request below. The certificate names nobody.",
	Trial:     "A trial: in at least one system nothing was changed.",
	RequestNo: "Request number", Received: "Request received", Identity: "Identity proven", Approved: "Erasure approved", Answered: "Person answered",
	Issued: "Certificate issued", Serial: "no. %d", Final: "the last one",
	Systems: "System by system", NoSystems: "No system held anything.", When: "When", Found: "Found", Deleted: "Deleted", Where: "Where",
	Order: "Why not earlier", After: "after %s (%s)", AgesOut: "Goes by itself", Reason: "Reason", Hold: "Legal hold",
	Kept: "Kept on purpose", Until: "until", LookedAgain: "Looked at again", Gone: "gone", Evidence: "What the system answered", Told: "Recipients told (Art. 19 GDPR)",
	Covered:    "Identifiers covered",
	CoveredWhy: "Each stands here as a hash with a secret key: whoever knows the identifier and has the key can find it, nobody can read it.",
	Check:      "How to check this",
	CheckHow:   "The certificate is a JSON file that is signed (Ed25519, RFC 8785). With that file and the public key, published at /keys, anybody can check it without asking us.",
	Digest:     "SHA-256", Key: "Key", Signature: "Signature", Log: "Log", LogText: "%d entries, SHA-256 %s", Colon: ": ",
	Kinds: map[string]string{"email": "E-mail", "phone": "Phone", "name": "Name", "subject_id": "Subject id", "external_id": "Customer number", "chat_id": "Chat id"},
	Roles: map[string]string{"officer": "by a data protection officer", "admin": "by an administrator", "operator": "by an operator", "person": "by the person", "system": "automatically"},
	Outcomes: map[Outcome]string{
		Erased: "erased", ByHand: "erased by hand", Partly: "erased in part", Kept: "kept", Skipped: "not erased", DryRun: "trial, nothing changed",
		Pending: "not ended yet", Nothing: "nothing found", Failed: "could not be asked", "told": "told",
	},
}

var french = words{
	Language: "fr", Title: "Certificat d’effacement", Skip: "Aller au contenu",
	Intro:     "%s certifie ce qu’il est advenu des données personnelles de la personne à l’origine de la demande ci-dessous. Le certificat ne nomme personne.",
	Trial:     "Un essai : dans au moins un système, rien n’a été modifié.",
	RequestNo: "Numéro de demande", Received: "Demande reçue", Identity: "Identité prouvée", Approved: "Effacement approuvé", Answered: "Réponse à la personne",
	Issued: "Certificat établi", Serial: "nº %d", Final: "le dernier",
	Systems: "Système par système", NoSystems: "Aucun système ne contenait de données.", When: "Quand", Found: "Trouvé", Deleted: "Effacé", Where: "Où",
	Order: "Pourquoi pas plus tôt", After: "après %s (%s)", AgesOut: "Disparaît de soi-même", Reason: "Motif", Hold: "Conservation légale",
	Kept: "Conservé à dessein", Until: "jusqu’au", LookedAgain: "Vérifié à nouveau", Gone: "plus rien", Evidence: "Ce que le système a répondu", Told: "Destinataires informés (art. 19 RGPD)",
	Covered:    "Identifiants concernés",
	CoveredWhy: "Chacun figure ici sous forme d’empreinte à clé secrète : qui connaît l’identifiant et détient la clé peut le retrouver, personne ne peut le lire.",
	Check:      "Comment vérifier ce certificat",
	CheckHow:   "Le certificat est un fichier JSON signé (Ed25519, RFC 8785). Avec ce fichier et la clé publique, publiée à l’adresse /keys, chacun peut le vérifier sans nous interroger.",
	Digest:     "SHA-256", Key: "Clé", Signature: "Signature", Log: "Journal", LogText: "%d entrées, SHA-256 %s", Colon: "\u00a0: ",
	Kinds: map[string]string{
		"email": "E-mail", "phone": "Téléphone", "name": "Nom", "subject_id": "Identifiant de la personne", "external_id": "Numéro de client", "chat_id": "Identifiant de discussion",
		"consents": "consentements", "statements": "déclarations", "bindings": "liens numéro-e-mail", "proofs": "preuves", "documents": "documents", "forms": "formulaires",
		"single_events": "événements isolés", "unreadable": "illisibles", "users": "utilisateurs", "tickets": "tickets", "messages": "messages",
		"conversations": "conversations", "chats": "discussions", "calls": "appels", "contacts": "contacts", "attachments": "pièces jointes", "recordings": "enregistrements",
	},
	Roles: map[string]string{"officer": "par un délégué à la protection des données", "admin": "par un administrateur", "operator": "par un opérateur", "person": "par la personne", "system": "automatiquement"},
	Outcomes: map[Outcome]string{
		Erased: "effacé", ByHand: "effacé à la main", Partly: "effacé en partie", Kept: "conservé", Skipped: "non effacé", DryRun: "essai, rien de modifié",
		Pending: "pas encore terminé", Nothing: "rien trouvé", Failed: "n’a pas pu être interrogé", "told": "informé",
	},
}
