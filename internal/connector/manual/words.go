package manual

import "github.com/avow-consent/avow/internal/connector"

// words are what a person is asked, by language.
type words struct{ reason, instructions connector.Text }

// usual are the words for a system whose configuration has none of its own.
var usual = map[connector.Operation]words{
	connector.Export: {
		connector.Text{"en": "No interface can export from this system.", "fr": "Aucune interface ne permet d'exporter depuis ce système."},
		connector.Text{"en": "Find everything that this system holds of the person and upload it here as files: they enter the package, which an officer reads before the person does. What is too large for that you send to the person yourself; give its digest as evidence. If there is nothing, say so.",
			"fr": "Recherchez tout ce que ce système contient sur la personne et déposez-le ici sous forme de fichiers : ils entrent dans le dossier, qu'un responsable lit avant la personne. Ce qui est trop volumineux, envoyez-le vous-même à la personne et donnez-en l'empreinte comme justificatif. S'il n'y a rien, dites-le."},
	},
	connector.Rectify: {
		connector.Text{"en": "No interface can correct data in this system.", "fr": "Aucune interface ne permet de corriger ce système."},
		connector.Text{"en": "Correct the fields that the request names wherever this system has the old value, and upload what shows it.",
			"fr": "Corrigez les champs indiqués dans la demande partout où figure l'ancienne valeur, puis déposez un justificatif."},
	},
	connector.Erase: {
		connector.Text{"en": "No interface can delete from this system.", "fr": "Aucune interface ne permet de supprimer dans ce système."},
		connector.Text{"en": "Delete everything that this system holds of the person, its trash included. Look again afterwards, and upload what shows that nothing is left.",
			"fr": "Supprimez tout ce que ce système contient sur la personne, corbeille comprise. Vérifiez ensuite, puis déposez un justificatif."},
	},
	connector.Restrict: {
		connector.Text{"en": "No interface can restrict processing in this system.", "fr": "Aucune interface ne permet de limiter le traitement dans ce système."},
		connector.Text{"en": "Mark the person's records so that they are kept but not used (Art. 18 GDPR), and upload what shows it.",
			"fr": "Marquez les données de la personne afin qu'elles soient conservées sans être utilisées (art. 18 RGPD), puis déposez un justificatif."},
	},
	connector.Object: {
		connector.Text{"en": "No interface can record an objection in this system.", "fr": "Aucune interface ne permet d'enregistrer une opposition dans ce système."},
		connector.Text{"en": "Stop what the person objects to in this system at once (Art. 21 GDPR), and upload what shows it.",
			"fr": "Cessez immédiatement dans ce système le traitement auquel la personne s'oppose (art. 21 RGPD), puis déposez un justificatif."},
	},
	connector.Tell: {
		connector.Text{"en": "No interface can tell this system's recipients.", "fr": "Aucune interface ne permet d'informer les destinataires de ce système."},
		connector.Text{"en": "Tell everybody who has received the person's data from this system what was done (Art. 19 GDPR), and upload the letter.",
			"fr": "Informez tous ceux qui ont reçu de ce système les données de la personne de ce qui a été fait (art. 19 RGPD), puis déposez le courrier."},
	},
}
