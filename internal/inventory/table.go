package inventory

import (
	"encoding/csv"
	"io"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
)

// headings of the table (Art. 30(1) GDPR), by language.
var headings = map[string][]string{
	"en": {
		"Controller", "Data protection officer", "System", "Personal data", "Purpose", "Legal basis", "Retention", "Source", "Recipients", "Flows to other systems",
		"Processor", "Data processing agreement of", "Clauses", "Next review", "Agreement ends", "Region", "Inside the EEA", "Basis of the transfer", "Ages out by itself",
	},
	"fr": {
		"Responsable du traitement", "Délégué à la protection des données", "Système", "Données personnelles", "Finalité", "Base légale", "Durée de conservation", "Source", "Destinataires", "Flux vers d'autres systèmes",
		"Sous-traitant", "Contrat de sous-traitance du", "Clauses", "Prochain examen", "Fin du contrat", "Région", "Dans l'EEE", "Fondement du transfert", "Expire de lui-même",
	},
}

var yesNo = map[string]map[bool]string{"en": {true: "yes", false: "no"}, "fr": {true: "oui", false: "non"}}

// CSV writes the record as a table (RFC 4180, UTF-8) in "en" or "fr", one line
// for each category of data of each system. Texts that a spreadsheet would take
// for formulas begin with an apostrophe.
func (r Record) CSV(w io.Writer, language string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(headings[language]); err != nil {
		return err
	}
	for _, s := range r.Systems {
		data := s.Data
		if len(data) == 0 {
			data = []connector.Category{{}} // the system still has its line
		}
		for _, d := range data {
			if err := out.Write(r.line(s, d, language)); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func (r Record) line(s connector.Inventory, d connector.Category, language string) []string {
	var recipients, flows []string
	for _, t := range s.Recipients {
		recipients = append(recipients, t.In(language))
	}
	for _, f := range r.Flows {
		if f.From == s.System {
			flows = append(flows, f.To+": "+f.Data.In(language))
		}
	}
	var p connector.Processor
	if s.Processor != nil {
		p = *s.Processor
	}
	line := []string{
		r.Controller.Name, strings.TrimSpace(r.Controller.DPO.Name + " " + r.Controller.DPO.Email), s.Title.In(language),
		d.Name.In(language), d.Purpose.In(language), d.Basis.In(language), d.Retention.In(language), s.Source.In(language),
		strings.Join(recipients, "; "), strings.Join(flows, "; "), p.Name, p.DPA, p.Clauses, p.Review, p.Expires,
		s.Region, yesNo[language][s.EEA], s.Transfer, s.Backups.In(language),
	}
	for i, cell := range line {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			line[i] = "'" + cell
		}
	}
	return line
}
