package fake

import (
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
)

const day = 24 * time.Hour

// seed makes the company's customers. Ines is a contact who was a lead, with an
// Individual, a case with a file, a call, a visit, an answered campaign, mail,
// and a registration that a package for Zoom keeps; the others are contacts or
// leads, the agent is a user.
func (s *Server) seed() {
	people := company.People()
	staff := company.Staff()
	s.Ago(400*day, func() {
		s.add("User", map[string]any{"FirstName": staff.Given, "LastName": staff.Family, "Username": staff.Email, "Email": staff.Email, "Phone": staff.Phone, "IsActive": true})
		for _, p := range people {
			fields := map[string]any{"FirstName": p.Given, "LastName": p.Family, "Name": p.Name(), "Email": p.Email, "Phone": p.Phone, "Customer_Number__c": p.ExternalID}
			if p.N > 2 && p.N%2 == 1 {
				fields["Company"] = "Private"
				s.add("Lead", fields)
				continue
			}
			s.add("Contact", fields)
		}
	})
	var ines *Record
	for _, r := range s.all("Contact", false) {
		if r.text("Email") == company.Ines {
			ines = r
		}
	}
	individual := s.add("Individual", map[string]any{"FirstName": people[0].Given, "LastName": people[0].Family})
	ines.Fields["IndividualId"] = individual.ID
	ines.Fields["MobilePhone"] = "06 55 00 01 01"
	ines.Fields["Zoom_User__c"] = "zUsEr-ines"
	ines.Fields["Birthdate"] = "1990-02-03"
	ines.Fields["MailingStreet"] = "3 rue des Lampes"
	s.add("Lead", map[string]any{"FirstName": people[0].Given, "LastName": people[0].Family, "Company": "Private", "Email": "Ines@Example.test", "IsConverted": true, "ConvertedContactId": ines.ID})
	c := s.add("Case", map[string]any{"ContactId": ines.ID, "Subject": "The lamp of Inès flickers", "SuppliedEmail": company.Ines, "SuppliedName": people[0].Name(), "Status": "Closed"})
	s.addFile("receipt.pdf", "%PDF receipt of Inès", ines.ID, c.ID)
	s.add("Task", map[string]any{"WhoId": ines.ID, "Subject": "Call", "Description": "Called Inès back", "Status": "Completed"})
	s.add("Event", map[string]any{"WhoId": ines.ID, "Subject": "Visit", "Location": "Shop"})
	s.add("CampaignMember", map[string]any{"ContactId": ines.ID, "CampaignId": "701000000000001AAA", "Status": "Responded", "Name": people[0].Name(), "Email": company.Ines})
	s.add("EmailMessage", map[string]any{"ParentId": c.ID, "FromAddress": "Ines@example.test", "FromName": people[0].Name(), "ToAddress": "help@example.test", "Subject": "It flickers", "TextBody": "Hello, it flickers. Inès"})
	s.add("EmailMessage", map[string]any{"FromAddress": "help@example.test", "ToAddress": company.Ines, "Subject": "Your lamp", "TextBody": "Dear Inès"})
	s.add("EmailMessage", map[string]any{"FromAddress": "help@example.test", "ToAddress": "marines@example.test", "Subject": "Somebody else", "TextBody": "Dear Marine"})
	s.add("OpportunityContactRole", map[string]any{"ContactId": ines.ID, "OpportunityId": "006000000000001AAA", "Role": "Buyer"})
	s.add("ContactPointEmail", map[string]any{"ParentId": individual.ID, "EmailAddress": company.Ines})
	s.add("ContactPointPhone", map[string]any{"ParentId": individual.ID, "TelephoneNumber": people[0].Phone})
	s.add("ContactPointTypeConsent", map[string]any{"PartyId": individual.ID, "Name": "Newsletter", "PrivacyConsentStatus": "OptIn"})
	s.add("Zoom_Registrant__c", map[string]any{"Contact__c": ines.ID, "Email__c": company.Ines, "First_Name__c": people[0].Given, "Registrant_Id__c": "rEg_1-x", "Webinar_Id__c": "86000001008"})
}
