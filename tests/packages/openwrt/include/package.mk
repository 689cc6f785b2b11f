# Fields that the SDK insists on, or that a package is not taken without.
define needed
$(foreach field,$(1),$(if $(strip $($(field))),,$(error $(field) is missing)))
endef

define Build/Prepare
	mkdir -p $(BUILD_DIR)
	tar -xzf $(DL_DIR)/$(PKG_SOURCE) -C $(BUILD_DIR)
	test -d $(PKG_BUILD_DIR)
	test -f $(PKG_BUILD_DIR)/$(PKG_LICENSE_FILES)
endef

define BuildPackage
$(call needed,PKG_NAME PKG_VERSION PKG_RELEASE PKG_LICENSE PKG_MAINTAINER PKG_SOURCE_URL PKG_HASH)
$(eval $(Package/$(1)))
$(call needed,SECTION CATEGORY TITLE DEPENDS Package/$(1)/description Package/$(1)/conffiles)
compile:
	$(Build/Prepare)
	$(Build/Configure)
	$(Build/Compile)
	$(call Package/$(1)/install,$(OUT)/root)
	printf '%s\n' $(strip $(Package/$(1)/conffiles)) >$(OUT)/conffiles
endef

names:
	@echo $(PKG_SOURCE) $(PKG_VERSION)
