package letter

import "time"

// sample is a letter's data with every field set; bare has only what every
// request has. Both are for the check of a company's letters.
func sample(requestType string) Data {
	at := time.Date(2026, time.March, 5, 9, 30, 0, 0, time.UTC)
	d := bare(requestType)
	d.Address, d.DPO, d.Authority = "1 Example Street, 75001 Paris", "Data Protection Office", "Example Authority, 1 Example Square"
	d.Name, d.OnBehalf, d.Recipient = "Camille Example", true, "Other Company"
	d.Expires, d.Until = at.AddDate(0, 0, 2), at.AddDate(0, 1, 0)
	d.Systems = []System{
		{Title: "Help desk", Records: 12, At: at.AddDate(0, 0, 9), Backups: "Backups age out after 35 days."},
		{Title: "Shop", Records: 1, At: at.AddDate(0, 0, 9), Kept: []Kept{{What: "Invoices", Ground: "Art. 17(3)(b) GDPR", Reason: "tax law", Until: "2036-12-31"}}},
		{Title: "Old archive", Undone: "it cannot be searched"},
	}
	d.Changes = []Change{{Field: "city", Old: "Lyon", New: "Paris"}, {Field: "phone", New: "+33 1 00 00 00 00"}}
	d.Notice = "https://www.example.com/privacy"
	d.Recipients = []string{"Example Newsletter Ltd"}
	d.Looks = []time.Time{at.AddDate(0, 0, 10), at.AddDate(0, 1, 9)}
	d.Blocked = true
	d.Certificate = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	return d
}

func bare(requestType string) Data {
	at := time.Date(2026, time.March, 5, 9, 30, 0, 0, time.UTC)
	return Data{
		Controller: "Example Company", DPOEmail: "privacy@example.com", Reference: "019c2300-0648-70e6-b4af-aa0efa8d6a29",
		Type: requestType, Regime: "gdpr", Received: at, Due: at.AddDate(0, 1, 0),
		Link: "https://avow.example/public/confirm/token", Ground: "Art. 12(5) GDPR", Reason: "the example says so",
		Matter: Approval, What: "shop", Purposes: []string{"News about our offers, by e-mail", "Invitations to events"}, Processor: "Example Hosting",
	}
}
