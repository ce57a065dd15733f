package fake

import "slices"

// object is what describe says of one.
type object struct {
	prefix string
	fields []field
	// cascade are the lookups of other objects whose records go with this one's.
	cascade map[string]string
}

type field struct {
	name, kind        string
	fixed, needed, up bool // not updateable; not nillable; an external id
}

func (o object) field(name string) *field {
	for i := range o.fields {
		if o.fields[i].name == name {
			return &o.fields[i]
		}
	}
	return nil
}

func list(groups ...[]field) []field {
	return append([]field{{name: "Id", kind: "id", fixed: true, needed: true}, {name: "IsDeleted", kind: "boolean", fixed: true, needed: true}, {name: "CreatedDate", kind: "datetime", fixed: true, needed: true}},
		slices.Concat(groups...)...)
}

func of(kind string, names ...string) (fields []field) {
	for _, name := range names {
		fields = append(fields, field{name: name, kind: kind})
	}
	return fields
}

func needed(kind string, names ...string) []field {
	fields := of(kind, names...)
	for i := range fields {
		fields[i].needed = true
	}
	return fields
}

func fixed(kind string, names ...string) []field {
	fields := of(kind, names...)
	for i := range fields {
		fields[i].fixed = true
	}
	return fields
}

var (
	person = slices.Concat(fixed("string", "Name"), of("string", "FirstName"), needed("string", "LastName"), of("email", "Email"), of("phone", "Phone", "MobilePhone", "Fax"), of("reference", "IndividualId"),
		of("boolean", "HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"), of("textarea", "Description"), of("string", "Title", "Zoom_User__c"), fixed("datetime", "SystemModstamp"), []field{{name: "Customer_Number__c", kind: "string", up: true}})
	point = slices.Concat(of("reference", "ParentId"))
)

// schema are the objects of the company: standard ones, and what a package for
// Zoom has added.
var schema = map[string]object{
	"Contact": {prefix: "003", fields: list(person, of("string", "MailingStreet", "MailingCity"), of("date", "Birthdate"), of("reference", "AccountId")),
		cascade: map[string]string{"CampaignMember": "ContactId", "OpportunityContactRole": "ContactId"}},
	"Lead": {prefix: "00Q", fields: list(person, needed("string", "Company"), of("string", "Street", "City"), fixed("boolean", "IsConverted"), fixed("reference", "ConvertedContactId")),
		cascade: map[string]string{"CampaignMember": "LeadId"}},
	"Individual": {prefix: "0PK", fields: list(of("string", "FirstName"), needed("string", "LastName"),
		of("boolean", "HasOptedOutSolicit", "HasOptedOutProcessing", "HasOptedOutProfiling", "HasOptedOutTracking", "HasOptedOutGeoTracking", "ShouldForget")),
		cascade: map[string]string{"ContactPointEmail": "ParentId", "ContactPointPhone": "ParentId", "ContactPointAddress": "ParentId"}},
	"User":                    {prefix: "005", fields: list(of("string", "FirstName", "LastName", "Username"), of("email", "Email"), of("phone", "Phone"), of("boolean", "IsActive"))},
	"Case":                    {prefix: "500", fields: list(of("reference", "ContactId"), of("string", "Subject", "SuppliedName"), of("email", "SuppliedEmail"), of("textarea", "Description"), of("picklist", "Status")), cascade: map[string]string{"EmailMessage": "ParentId"}},
	"Task":                    {prefix: "00T", fields: list(of("reference", "WhoId", "WhatId"), of("string", "Subject"), of("textarea", "Description"), of("picklist", "Status"), fixed("boolean", "IsArchived"))},
	"Event":                   {prefix: "00U", fields: list(of("reference", "WhoId", "WhatId"), of("string", "Subject", "Location"), of("textarea", "Description"), fixed("boolean", "IsArchived"))},
	"CampaignMember":          {prefix: "00v", fields: list(of("reference", "CampaignId", "ContactId", "LeadId"), of("picklist", "Status"), fixed("string", "Name", "Email"))},
	"EmailMessage":            {prefix: "02s", fields: list(fixed("reference", "ParentId", "RelatedToId"), fixed("string", "FromAddress", "FromName", "ToAddress", "CcAddress", "BccAddress", "Subject"), fixed("textarea", "TextBody"))},
	"OpportunityContactRole":  {prefix: "00K", fields: list(of("reference", "OpportunityId", "ContactId"), of("picklist", "Role"))},
	"ContactPointEmail":       {prefix: "9Vl", fields: list(point, of("email", "EmailAddress"))},
	"ContactPointPhone":       {prefix: "9Vj", fields: list(point, of("phone", "TelephoneNumber"))},
	"ContactPointAddress":     {prefix: "8lW", fields: list(point, of("string", "Street", "City"))},
	"ContactPointTypeConsent": {prefix: "0ZY", fields: list(of("reference", "PartyId"), needed("string", "Name"), of("picklist", "PrivacyConsentStatus"))},
	"ContentDocument":         {prefix: "069", fields: list(of("string", "Title"))},
	"ContentDocumentLink":     {prefix: "06A", fields: list(of("reference", "ContentDocumentId", "LinkedEntityId"))},
	"ContentVersion":          {prefix: "068", fields: list(of("reference", "ContentDocumentId"), of("string", "Title", "FileExtension"), fixed("boolean", "IsLatest"), fixed("int", "ContentSize"))},
	"Zoom_Registrant__c":      {prefix: "a01", fields: list(of("reference", "Contact__c", "Lead__c"), of("email", "Email__c"), of("string", "First_Name__c", "Registrant_Id__c", "Webinar_Id__c"))},
}

func (s *Server) object(name string) (object, bool) {
	o, ok := schema[name]
	if s.o.NoPrivacy && (name == "Individual" || len(name) > 12 && name[:12] == "ContactPoint") {
		return object{}, false
	}
	return o, ok
}
