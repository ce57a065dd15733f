package browser

// Person is who signs up at the demo shop, and with which choices.
type Person struct {
	FirstName, LastName, Email string
	Newsletter, Profiling      bool
}

// FillSignUp opens the demo's page, at the site's base URL in a language (en, fr), and fills in the form; the terms, without which
// nothing can be sent, are accepted.
func (tab *Tab) FillSignUp(site, lang string, p Person) {
	tab.t.Helper()
	tab.Open(site + "/" + lang)
	tab.Type("#first_name", p.FirstName)
	tab.Type("#last_name", p.LastName)
	tab.Type("#email", p.Email)
	for selector, ticked := range map[string]bool{"#newsletter": p.Newsletter, "#profiling": p.Profiling, "#terms": true} {
		if ticked {
			tab.Click(selector)
		}
	}
}

// SignUp fills in the form, sends it, waits for the confirmation, and returns the id of the consent.
func (tab *Tab) SignUp(site, lang string, p Person) string {
	tab.t.Helper()
	tab.FillSignUp(site, lang, p)
	tab.Click("#send")
	tab.Until(`!document.querySelector("#done").hidden || document.querySelector("#problem").textContent !== ""`)
	if problem := tab.Text("#problem"); problem != "" {
		tab.t.Fatalf("the demo page says: %s", problem)
	}
	return tab.Text("#record-id")
}
