package salesforce

// For tests of what reads text.
var (
	Literal     = literal
	Contains    = contains
	PhoneSearch = phoneSearch
	Trusted     = trusted
	Failures    = failures
	IsID        = isID
)

// Mine reports whether an e-mail message with these addressees is a person's.
func Mine(to, email string) bool {
	o := object{email: []string{"FromAddress"}, addresses: []string{"ToAddress"}}
	return o.about(row{"ToAddress": to}, person{emails: []string{email}})
}
